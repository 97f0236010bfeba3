"""Exceptions and warnings in words: the user's frames with their source lines, those of libraries folded."""

from __future__ import annotations

import linecache
import os
import sys
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

SHORT = 200
"""Characters of a note or of a cause's message."""
MESSAGE = 8 * 1024
LINES = 60
"""Lines of a traceback."""
HEADLESS = ("non-interactive", "non-GUI backend")
"""What matplotlib says when `show` is called where there is no screen; the figures are shown all the same."""


def describe(exc: BaseException, name: str) -> dict[str, object] | None:
    """Return an exception that ended the block `name` as {type, message, traceback, line}; None for a clean exit."""
    if isinstance(exc, SystemExit) and exc.code in (None, 0):
        return None
    message, line = _message(exc), None
    if isinstance(exc, SyntaxError) and exc.filename == name:
        line, lines, message = exc.lineno, _syntax(exc), str(exc.msg)
    else:
        line, lines = _frames(exc.__traceback__, name)
    title = _title(exc)
    lines.append(title + (": " + message if message else ""))
    lines += [str(note)[:SHORT] for note in getattr(exc, "__notes__", ())[:5]]
    lines += [_brief(part, name, "Contains") for part in getattr(exc, "exceptions", ())[:5] if isinstance(part, BaseException)]
    text = "\n".join(lines + _causes(exc, name))
    return {"type": title[:SHORT], "message": message, "traceback": text[-2 * MESSAGE :], "line": line}


def tame_warnings() -> None:
    """Let warnings be shown in one line each, without those about a missing screen."""
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    text = str(message)
    if not any(word in text for word in HEADLESS):
        where = " (%s, line %d)" % (filename, lineno) if filename.startswith("<step ") else ""
        print("%s: %s%s" % (category.__name__, text, where), file=file or sys.stderr)


def _title(exc: BaseException) -> str:
    kind = type(exc)
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__


def _message(exc: BaseException) -> str:
    try:
        text = str(exc)
    except BaseException:
        text = "(its message could not be made)"
    return text if len(text) <= MESSAGE else text[:MESSAGE] + "…"


def _syntax(exc: SyntaxError) -> list[str]:
    lines = ["  %s, line %s" % (exc.filename, exc.lineno)]
    source = (exc.text or "").rstrip("\n")
    if source.strip():
        lines.append("    " + source.strip())
        if exc.offset:
            indent = len(source) - len(source.lstrip())
            lines.append("    " + " " * max(0, exc.offset - 1 - indent) + "^")
    return lines


def _frames(trace: TracebackType | None, name: str) -> tuple[int | None, list[str]]:
    """Return the line of `name` nearest to the error, and the user's frames; those of libraries are folded."""
    line: int | None = None
    lines: list[str] = []
    folded: list[str] = []
    here = os.path.realpath(".") + os.sep
    while trace is not None:
        code, number = trace.tb_frame.f_code, trace.tb_lineno
        file = code.co_filename
        if file.startswith(("<step ", here)):
            lines += _fold(folded)
            folded = []
            line = number if file == name else line
            lines.append("  %s, line %d%s" % (file, number, "" if code.co_name == "<module>" else ", in " + code.co_name))
            source = linecache.getline(file, number).strip()
            lines += ["    " + source] if source else []
        elif lines and not file.startswith("<codeact_worker."):
            folded.append("%s:%d in %s" % ("/".join(file.split("/")[-2:]), number, code.co_name))
        trace = trace.tb_next
    lines += _fold(folded)
    if len(lines) > LINES:
        lines[LINES // 3 : -LINES // 2] = ["  … %d lines left out …" % (len(lines) - LINES // 3 - LINES // 2)]
    return line, lines


def _fold(folded: list[str]) -> list[str]:
    if not folded:
        return []
    count = "1 library frame" if len(folded) == 1 else "%d library frames, the last" % len(folded)
    return ["  (%s: %s)" % (count, folded[-1])]


def _causes(exc: BaseException, name: str) -> list[str]:
    lines: list[str] = []
    for _ in range(3):
        cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        if cause is None:
            break
        lines.append(_brief(cause, name, "Caused by" if exc.__cause__ is not None else "While handling"))
        exc = cause
    return lines


def _brief(exc: BaseException, name: str, word: str) -> str:
    line = _frames(exc.__traceback__, name)[0]
    return "%s %s: %s%s" % (word, _title(exc), _message(exc)[:SHORT], "" if line is None else " (line %d)" % line)
