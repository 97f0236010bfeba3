"""From the model's text to an action: the first complete Python block is run, a reply without one is the answer."""

from __future__ import annotations

import ast
import re
import warnings
from collections import deque

from codeact_bot.agent.reasoning import ReasoningFilter
from codeact_bot.types import Action, Answer, Malformed, RunCode

_MARKER = r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?"
_OPENING = re.compile(_MARKER + r"(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)")
_MAY_OPEN = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)]?)?[ \t]*(?:`{0,2}|~{0,2})")
_LANGUAGE = re.compile(r"[\s{.]*(?:python3?|py)(?![\w+#.-])", re.IGNORECASE)
_TAG, _END_TAG = "<execute>", "</execute>"
_STRING = re.compile(
    r"""\#[^\n]*
    | (?P<quote>\"{3}|'{3}) (?:\\.|(?!(?P=quote)).)*+ (?P<end>(?P=quote))?
    | (?P<mark>["']) (?:\\.|(?!(?P=mark))[^\n])*+ (?P<stop>(?P=mark))?""",
    re.VERBOSE | re.DOTALL,
)
_FENCED = re.compile(r"\s*(`{3,}|~{3,})[^\n`]*\n(?P<code>.*?)\n?[ \t]*\1\s*", re.DOTALL)
_WRITE = "Write one ```python block of plain Python and close it with ``` on a line of its own, or answer without a block."


def parse(text: str) -> Action:
    """Return the action in a whole reply; never raises, whatever the text."""
    parser = ActionParser()
    parser.feed(text)
    parser.end()
    return parser.action


class ActionParser:
    """Reads a reply as it streams; however the text is split, prose and action come out the same."""

    def __init__(self) -> None:
        self.text = ""
        """What was read, up to the end of the first action."""
        self.complete = False
        """True once the first action is whole: there is no need to read on."""
        self._line = ""
        self._shown = 0
        self._thought: list[str] = []
        self._other = ""
        """The opening fence of the block of another language that we are in."""
        self._block: _Block | None = None
        self._reasoning = ReasoningFilter()

    def feed(self, delta: str) -> tuple[str, bool]:
        """Take the next piece; return the prose that is certain by now, and whether the action is complete."""
        return self._feed(self._reasoning.feed(delta))

    def _feed(self, delta: str) -> tuple[str, bool]:
        prose: list[str] = []
        *whole, rest = delta.split("\n")
        for line in whole:
            if self.complete:
                break
            prose.append(self._take(self._line + line, "\n"))
            self._line, self._shown = "", 0
        if not self.complete:
            self._line += rest
            prose.append(self._certain())
        return self._say(prose), self.complete

    def end(self) -> str:
        """The stream has ended; return the prose that was held back."""
        prose, _ = self._feed(self._reasoning.end())
        line, self._line = self._line, ""
        return prose if self.complete else prose + self._say([self._take(line, "")])

    @property
    def action(self) -> Action:
        """The action in what was read."""
        thought = "".join(self._thought).strip()
        if self._block is not None:
            return self._block.action(thought)
        if not thought:
            empty = "The reply ended inside its reasoning, so nothing was said. " if self._reasoning.unfinished else "The reply was empty. "
            return Malformed(thought="", code="", reason=empty + _WRITE)
        return Answer(text=thought)

    def _say(self, prose: list[str]) -> str:
        said = "".join(prose)
        self._thought.append(said)
        return said

    def _take(self, line: str, newline: str) -> str:
        """Read one whole line; return what of it is prose and was not shown yet."""
        self.text += line + newline
        line = line.removesuffix("\r") if newline else line
        if self._block is not None:
            self.complete = self._block.take(line)
            return ""
        cut = len(line)
        if self._other:
            self._other = "" if _closes(line, self._other) else self._other
        elif (opening := _OPENING.fullmatch(line)) is not None:
            if _LANGUAGE.match(opening["info"]):
                self._block = _Block(opening["fence"])
                return ""
            self._other = opening["fence"]
        elif (cut := _tag_at(line)) < len(line):
            self._block = _Block("")
            self.complete = self._block.take(line[cut + len(_TAG) :])
            newline = ""
        return line[self._shown : cut] + newline

    def _certain(self) -> str:
        """Return what of the unfinished line is prose whatever follows, and was not shown yet."""
        if self._block is not None:
            return ""
        if not self._other and (_MAY_OPEN.fullmatch(self._line) or _OPENING.fullmatch(self._line)):
            return ""
        end = len(self._line.removesuffix("\r"))
        if not self._other:
            end = min([end, *(at for at in _angles(self._line) if _TAG.startswith(self._line[at : at + len(_TAG)].lower()))])
        shown, self._shown = self._shown, max(self._shown, end)
        return self._line[shown:end]


class _Block:
    """The lines of a block that has been opened with a fence, or with `<execute>` where `fence` is empty."""

    def __init__(self, fence: str) -> None:
        self.fence = fence
        self.lines: list[str] = []
        self.closed: str | None = None
        self.first: str | None = None
        """What stands before the first closing line, which may be part of a string."""

    def take(self, line: str) -> bool:
        """Read one line; True when it closes the block."""
        for before in self._closings(line):
            code = "\n".join([*self.lines, before])
            self.first = code if self.first is None else self.first
            if not _in_string(code):
                self.closed = code
                return True
        self.lines.append(line)
        return False

    def _closings(self, line: str) -> list[str]:
        """Return, for each place in the line that might close the block, what stands before it."""
        if self.fence:
            return [""] if _closes(line, self.fence) else []
        return [line[: found.start()] for found in re.finditer(_END_TAG, line, re.IGNORECASE)]

    def action(self, thought: str) -> Action:
        """Return what the block amounts to, the stream having ended or the block being closed."""
        code = _plain("\n".join(self.lines) if self.closed is None else self.closed)
        reason = _fault(code)
        if reason and self.closed is None and self.first is not None:
            code = _plain(self.first)
            reason = _fault(code)
        elif reason and self.closed is None:
            reason = "The block was not closed, and what there is of it is not complete. " + reason
        return Malformed(thought=thought, code=code, reason=reason) if reason else RunCode(thought=thought, code=code)


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence) and not mark.strip(fence[0])


def _angles(line: str) -> list[int]:
    """Return where `<` stands in the line, outside of inline code."""
    return [found.start() for found in re.finditer("<", line) if line.count("`", 0, found.start()) % 2 == 0]


def _tag_at(line: str) -> int:
    """Return where `<execute>` opens a block: first or last on the line, or closed on it; else the line's length."""
    for at in _angles(line):
        before, tag, after = line[:at], line[at : at + len(_TAG)], line[at + len(_TAG) :]
        if tag.lower() == _TAG and (re.fullmatch(_MARKER, before) or not after.strip() or _END_TAG in after.lower()):
            return at
    return len(line)


def _in_string(code: str) -> bool:
    """Whether the end of `code` lies inside a string literal."""
    last = next(iter(deque(_STRING.finditer(code), maxlen=1)), None)
    return last is not None and last.end() == len(code) and not last[0].startswith("#") and not (last["end"] or last["stop"])


def _plain(code: str) -> str:
    """Take off a fence inside the tags, blank lines around the code and the indentation of its first line."""
    if wrapped := _FENCED.fullmatch(code):
        code = wrapped["code"]
    lines = code.split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())] if lines else ""
    return "\n".join(line.removeprefix(indent) if line.startswith(indent) else line.lstrip(" \t") for line in lines).rstrip()


def _fault(code: str) -> str:
    """Return why `code` cannot run, in words for the model; empty where it can, by the grammar of this Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree = compile(code, "<block>", "exec", flags=flags, dont_inherit=True)
    except SyntaxError as error:
        # Before Python 3.12 f-strings were stricter; the sandbox may be newer than this host, so it decides.
        return "" if error.msg.startswith("f-string") else _explain(error, code)
    except (ValueError, MemoryError, RecursionError, OverflowError, SystemError) as error:
        return f"The block cannot be compiled: {error or type(error).__name__}. {_WRITE}"
    return "" if tree.body else f"The block holds no code. {_WRITE}"


def _explain(error: SyntaxError, code: str) -> str:
    number = error.lineno or 1
    line = "".join(code.split("\n")[number - 1 : number]).strip()[:200]
    if line.startswith("!"):
        return f"Line {number} is a shell command (`{line}`), which is no Python: use subprocess.run([...]) instead."
    if line.startswith("%"):
        return f"Line {number} is an IPython magic (`{line}`), which does not exist here: leave it out. Figures are shown by themselves."
    return f"The block is not valid Python: line {number}, `{line}`: {error.msg}. {_WRITE}"
