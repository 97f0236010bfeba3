"""What the demo model sees of a conversation: the last question, and what came of its code since."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from codeact_bot.types import Message

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_AROUND = re.compile(r"\A[^\n]{0,200} writes:\n+|\n+Attached, in the working folder: [^\n]*\Z")
_FAILED = re.compile(r"\AThe (code (failed|ran out|'s process)|code's process|step was)|<error[-\d]*>")


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation."""

    text: str

    @property
    def failed(self) -> bool:
        """Whether the code did not run to its end."""
        return bool(_FAILED.search(self.text)) or self.text.startswith(("Nothing was run", "A person stopped"))

    def section(self, tag: str) -> str:
        """Return what stands between these tags, empty where there is nothing."""
        found = re.search(rf"<({tag}[-\d]*)>\n?(.*?)\n?</\1>", self.text, re.DOTALL)
        return found[2].strip("\n") if found else ""

    @property
    def output(self) -> str:
        """What was printed."""
        return self.section("output")

    @property
    def error(self) -> str:
        """The last line of the error: its type and message."""
        lines = self.section("error").strip().splitlines()
        return lines[-1].strip() if lines else self.text.partition("\n")[0]

    def figure(self, label: str) -> str:
        """Return what was printed after `label:`."""
        found = re.search(rf"^{re.escape(label)}: (.+)$", self.output, re.MULTILINE)
        return found[1].strip() if found else "(not printed)"

    def lacks(self, kind: str) -> str:
        """Return the name of the `module` or `name` that the code missed."""
        pattern = {"module": r"No module named '([\w.]+)'", "name": r"name '(\w+)' is not defined"}[kind]
        found = re.search(pattern, self.text) if self.failed else None
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Scene:
    """The state of the conversation, read from its messages alone."""

    question: str
    """What the person wrote last, without what was put around it."""
    seen: tuple[Seen, ...]
    """The observations since."""
    past: str
    """All earlier text."""
    code: str
    """All code so far."""

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Scene:
        """Read the messages: a person's are those that do not follow upon code."""
        start, observing = 0, False
        for index, message in enumerate(messages):
            if message.role == "assistant":
                observing = bool(_BLOCK.search(message.content))
            elif message.role == "user" and not observing:
                start = index
        text = messages[start].content if messages else ""
        while (stripped := _AROUND.sub("", text)) != text:
            text = stripped
        said = "\n".join(message.content for message in messages if message.role == "assistant")
        return cls(
            question=text.strip(),
            seen=tuple(Seen(message.content) for message in messages[start + 1 :] if message.role == "user"),
            past="\n".join(message.content for message in messages if message.role != "system"),
            code="\n".join(_BLOCK.findall(said)),
        )

    @property
    def last(self) -> Seen:
        """The latest observation."""
        return self.seen[-1]

    def without(self, module: str) -> bool:
        """Whether the sandbox was found to lack a module."""
        return f"No module named '{module}'" in self.past

    @property
    def typed_code(self) -> str:
        """The question itself where it is Python, such as `2 ** 64`; empty where it is prose that happens to parse, such as `yes`."""
        fenced = _BLOCK.search(self.question + "\n")
        text = fenced[1] if fenced else self.question
        tree = _parse(text)
        if tree is None or not tree.body:
            return ""
        nodes = list(ast.walk(tree))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        earlier = {name for name in names if re.search(rf"\b{name}\b", self.code)}
        known = bool(earlier) and all(hasattr(builtins, name) for name in names - earlier)
        return text if fenced or known or any(_does_something(node) for node in nodes) else ""


def _parse(text: str) -> ast.Module | None:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = compile(text, "typed", "exec", flags)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.Module) else None


def _does_something(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float | complex) and not isinstance(node.value, bool)
    return isinstance(node, ast.Call | ast.comprehension) or (isinstance(node, ast.stmt) and not isinstance(node, ast.Expr))
