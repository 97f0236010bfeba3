"""What the model is told of an execution: bounded, and with everything that came out of the sandbox inside tags it cannot forge."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from codeact_bot.types import Execution, Malformed, Status, Table

_STATUS = {
    Status.OK: "The code ran without an error",
    Status.ERROR: "The code failed",
    Status.TIMEOUT: "The code ran out of its time and was interrupted",
    Status.KILLED: "The code's process died (out of memory, os._exit or a signal)",
    Status.STOPPED: "A person stopped the code",
    Status.LOST: "The step was interrupted and its result is lost. It may have had effects and was not run again: check before you repeat it",
}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NAMES = 30


def observe(execution: Execution, *, steps_left: int | None = None, hint: str = "", limit: int = 16_000) -> str:
    """Phrase an execution for the model, what came from the sandbox in at most about `limit` characters."""
    parts = _parts(execution)
    notes = "\n".join(_line(_ESCAPES.sub("", note)) for note in execution.notes)
    mark = _mark([*parts.values(), notes])
    lines = [f"{_STATUS[execution.status]} ({execution.seconds:.2f} s)."]
    if execution.cut:
        lines.append(f"{execution.cut:,} bytes of output were left out of its middle.")
    for (tag, text), share in zip(parts.items(), _shares([len(text) for text in parts.values()], limit), strict=True):
        lines.append(f"<{tag}{mark}>\n{clip(text, share)}\n</{tag}{mark}>")
    lines += _made(execution)
    lines += _tagged("notes", mark, clip(notes, 2_000))
    if execution.state_lost:
        lines.append(f"The sandbox was restarted: the variables of earlier steps are gone{_lost(execution.lost)}. Define what you need again.")
    if hint:
        lines.append(f"Hint: {hint}")
    if steps_left is not None:
        lines.append(left(steps_left))
    return "\n".join(lines)


def observe_malformed(action: Malformed, *, steps_left: int) -> str:
    """Tell the model why its action did not run."""
    return f"Nothing was run. {action.reason}\n{left(steps_left)}"


def left(steps: int) -> str:
    """Say how many steps are left in this turn."""
    if steps <= 1:
        return "This is your last step: answer now, without a code block, with what you have."
    return f"{steps} steps left."


def clip(text: str, limit: int) -> str:
    """Keep head and tail of `text` and count what was cut between them."""
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - head
    return f"{text[:head]}\n[… {len(text) - head - tail:,} characters cut …]\n{text[len(text) - tail :]}"


def table_text(table: Table) -> str:
    """Write a table as tab-separated lines, and say what of it is not there."""
    rows = [table.columns, *table.rows]
    text = "\n".join("\t".join(_line(cell) for cell in row) for row in rows)
    if (len(table.rows), len(table.columns)) == (table.total_rows, table.total_columns):
        return text
    return f"{text}\n[the first {len(table.rows):,} of {table.total_rows:,} rows, {len(table.columns):,} of {table.total_columns:,} columns]"


def _parts(execution: Execution) -> dict[str, str]:
    """Return what came out of the sandbox, by the tag it is put into."""
    error = execution.error
    parts = {
        "output": execution.output,
        "table": "\n\n".join(table_text(table) for table in execution.tables),
        "value": "" if _is_table(execution) else execution.value or "",
        "error": (error.traceback or f"{error.type}: {error.message}") if error else "",
    }
    return {tag: cleaned for tag, text in parts.items() if (cleaned := _ESCAPES.sub("", text).strip("\n"))}


def _is_table(execution: Execution) -> bool:
    """Whether the value is shown better by the table that came with it: the text of a table has several lines."""
    return bool(execution.tables) and execution.value is not None and "\n" in execution.value


def _tagged(tag: str, mark: str, text: str) -> list[str]:
    return [f"<{tag}{mark}>\n{text}\n</{tag}{mark}>"] if text else []


def _mark(contents: Sequence[str]) -> str:
    """Return a suffix for the tags such that no content holds a tag with it: nothing printed can end its own section."""
    taken = {found.lower() for text in contents for found in re.findall(r"<\s*/?\s*(?:output|table|value|error|notes)(-\d+)?", text, re.IGNORECASE)}
    number = 0
    while (mark := f"-{number}" if number else "") in taken:
        number += 1
    return mark


def _shares(lengths: Sequence[int], limit: int) -> list[int]:
    """Divide `limit` among texts: short ones are kept whole, the others share what is left."""
    shares = [0] * len(lengths)
    for position, index in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        shares[index] = min(lengths[index], limit // (len(lengths) - position))
        limit -= shares[index]
    return shares


def _made(execution: Execution) -> list[str]:
    lines = []
    if execution.files:
        names = ", ".join(f"{quoted(file.name)} ({file.size:,} bytes)" for file in execution.files)
        lines.append(f"Files made or changed: {names}.")
    if execution.images:
        lines.append(f"Figures shown to the person: {len(execution.images)}.")
    return lines


def quoted(name: str) -> str:
    """Write a file's name on one line, in quotes that it cannot end."""
    return json.dumps(name[:200], ensure_ascii=False).translate(dict.fromkeys(map(ord, "\x85\u2028\u2029"), "?"))


def _line(text: str) -> str:
    return " ".join(text.split())


def _lost(names: Sequence[str]) -> str:
    known = [name for name in names if name.isidentifier() and len(name) <= 100]
    if not known:
        return ""
    more = f" and {len(known) - _NAMES:,} more" if len(known) > _NAMES else ""
    return f" ({', '.join(known[:_NAMES])}{more})"
