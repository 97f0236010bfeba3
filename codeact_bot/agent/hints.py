"""From an error to one line of advice: a table, which the user may extend."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codeact_bot.agent.observations import quoted
from codeact_bot.types import Execution, Status

_SUBJECT = 500
_LISTED = 20
_WARNING = re.compile(r"\b\w+Warning: [^\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known when advice is given."""

    files: tuple[str, ...] = ()
    """Names of the files in the working folder."""
    packages: tuple[str, ...] = ()
    """Packages that can be imported in the sandbox, as far as known."""
    lost: frozenset[str] = frozenset()
    """Variables that went with a restart of the sandbox in this conversation."""
    restarted: bool = False
    """Whether the sandbox was restarted in this conversation."""
    seconds: float = 0.0
    """What one step may take."""
    network: bool = False
    """Whether the sandbox can reach the network."""


Advice = Callable[[re.Match[str], Context], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One row of the table."""

    error: str
    """Regular expression, searched in `Type: message` of the error, in the status where there is none, in a warning where all went well."""
    advice: str | Advice
    """One line for the model. A function must quote what it takes from the match: that came out of the sandbox."""


def hint_for(execution: Execution, hints: Sequence[Hint], context: Context) -> str:
    """Return the advice of the first hint that fits, empty where none does."""
    subject = _subject(execution)
    for hint in hints if subject else ():
        if found := re.search(hint.error, subject):
            advice = hint.advice if isinstance(hint.advice, str) else hint.advice(found, context)
            return " ".join(advice.split())
    return ""


def _subject(execution: Execution) -> str:
    if execution.status in (Status.TIMEOUT, Status.KILLED, Status.LOST, Status.STOPPED):
        return f"status {execution.status}"
    if execution.error is not None:
        return f"{execution.error.type}: {execution.error.message}"[:_SUBJECT]
    warning = _WARNING.search(execution.output)
    return warning[0][:_SUBJECT] if warning else ""


def _module(found: re.Match[str], context: Context) -> str:
    name = found["name"].partition(".")[0]
    if context.network:
        return f"`{name}` is not installed. Install it: `import subprocess, sys; subprocess.run([sys.executable, '-m', 'pip', 'install', '<package>'], check=True)`."
    listed = ", ".join(context.packages[: 2 * _LISTED])
    there = f"use the standard library or what is installed: {listed}." if listed else "use the standard library or another installed package."
    return f"`{name}` is not installed and there is no network to install it from; {there}"


def _name(found: re.Match[str], context: Context) -> str:
    name = found["name"]
    if name in ("true", "false", "null"):
        return "That is JSON, not Python: write True, False or None."
    if name in context.lost:
        return f"`{name}` was lost when the sandbox was restarted: compute it again. Files in the working folder are still there."
    if context.restarted:
        return f"`{name}` is not defined. The sandbox was restarted, so what earlier steps defined is gone: define it again."
    return f"`{name}` is not defined in this session. Check the spelling, or import or define it in this block."


def _file(found: re.Match[str], context: Context) -> str:
    if not context.files:
        return "The working folder is empty. Paths are relative to it."
    more = f" and {len(context.files) - _LISTED:,} more" if len(context.files) > _LISTED else ""
    return f"The working folder holds {', '.join(map(quoted, context.files[:_LISTED]))}{more}. Paths are relative to it."


def _timeout(found: re.Match[str], context: Context) -> str:
    allowed = f" A step may take {context.seconds:g} s." if context.seconds else ""
    return f"Try it on a small part first, use vectorised operations, or split the work over several steps.{allowed}"


HINTS: tuple[Hint, ...] = (
    Hint(error=r"^(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>[\w.]{1,100})", advice=_module),
    Hint(error=r"^ImportError: cannot import name", advice="The installed version lacks that name: look with `dir(module)` and `module.__version__`."),
    Hint(error=r"^NameError: name '(?P<name>\w{1,100})'", advice=_name),
    Hint(error=r"^(?:[\w.]+\.)?FileNotFoundError\b", advice=_file),
    Hint(error=r"^IsADirectoryError\b", advice="That is a folder: list it with `os.listdir` and open a file in it."),
    Hint(error=r"^(?:PermissionError\b|OSError: \[Errno 30\])", advice="Only the working folder can be written: use a relative path."),
    Hint(error=r"^OSError: \[Errno (?:28|122)\]", advice="The working folder is full: delete files that are not needed, or write less."),
    Hint(error=r"^status timeout", advice=_timeout),
    Hint(error=r"^status killed", advice="Most likely the memory ran out: read in chunks, only the columns needed, smaller types; delete what is not needed."),
    Hint(error=r"^MemoryError|ArrayMemoryError", advice="The memory ran out: read in chunks, only the columns needed, smaller types; delete what is not needed."),
    Hint(
        error=r"^Unicode(?:Decode|Encode)Error",
        advice="The encoding is another one: try encoding='utf-8-sig', 'cp1252' or 'utf-16', or look at the first bytes with open(path, 'rb').read(100).",
    ),
    Hint(
        error=r"^TypeError: .*(?:unexpected keyword argument|required (?:positional|keyword-only) argument|positional arguments? but|multiple values for|invalid keyword argument|takes no (?:keyword )?arguments|takes (?:exactly|at most|at least) \w+ arguments?|expected (?:at (?:most|least) )?\d+ arguments?)",
        advice="The arguments are wrong: look at the signature with `help(name)` and call it again.",
    ),
    Hint(error=r"^EOFError|StdinNotImplementedError", advice="Nobody can type into the program: ask the person in your answer instead of with input()."),
    Hint(
        error=r"^KeyError: .*(?:not in index|not found in axis)|^KeyError: [\"'(\[]",
        advice="There is no such key or column: print `list(df.columns)` or `list(d)` first, and mind spaces and upper case.",
    ),
    Hint(error=r"^(?:IndexError|KeyError)\b", advice="That position or key does not exist: look at the length or the keys first. Use .iloc for positions in pandas."),
    Hint(error=r"EmptyDataError|ParserError", advice="The file is not the table that was expected: print its first lines, then set sep, skiprows, header or encoding."),
    Hint(error=r"^ValueError: The truth value of (?:a|an)\b", advice="Combine conditions with & | ~ and parentheses, or reduce with .any() or .all()."),
    Hint(error=r"^ValueError: .*(?:shape|broadcast|Length|length)", advice="The sizes do not match: print the shapes of both sides first."),
    Hint(error=r"^ValueError: (?:could not convert string|invalid literal)", advice="Some cells are not numbers: clean them, or use pd.to_numeric(..., errors='coerce')."),
    Hint(error=r"^AttributeError: 'NoneType'", advice="The call before returned None: look at what it returns before you use it."),
    Hint(error=r"^ZeroDivisionError\b", advice="The divisor is zero: check for empty data before dividing."),
    Hint(error=r"^RecursionError\b", advice="The recursion does not end or goes too deep: write it as a loop."),
    Hint(error=r"^RuntimeError: (?:asyncio\.run|This event loop)", advice="An event loop is running already: write `await …` at the top level instead of asyncio.run(…)."),
    Hint(error=r"^(?:[\w.]+\.)?(?:ConnectionError|gaierror|URLError|ConnectTimeout|ConnectError|ConnectionRefusedError|NewConnectionError|MaxRetryError)\b",
         advice=lambda _, context: "The address could not be reached: check it." if context.network
         else "The sandbox has no network: work with the files in the working folder, or ask the person to upload the data."),
    Hint(error=r"^(?:SyntaxError|IndentationError)\b", advice="Nothing of the block was run: correct the line and send the whole block again."),
    Hint(error=r"SettingWithCopyWarning", advice="The assignment may not have reached the table: use .loc on the original, or take a .copy() first."),
)  # fmt: skip
