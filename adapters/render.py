"""Events as text for people: taming what sandbox and model wrote, figures with units, one-line summaries."""

from __future__ import annotations

import re

from codeact_bot.types import Ending, Execution, Malformed, Proposal, RunCode, Status, Step, Table, Turn

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u070f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
_ENDING_MARKS = {Ending.ANSWERED: "✓", Ending.LIMIT: "■", Ending.STOPPED: "■", Ending.FAILED: "✗", Ending.MISSED: "■", Ending.APPROVAL: "?"}


def clean(text: str) -> str:
    """Strip everything that could control a screen: escape sequences, control and bidirectional characters, invisible ones.

    Line feeds and tabs stay; other line ends become line feeds.
    """
    text = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _INVISIBLE.sub("", _SEQUENCES.sub("", text))


def one_line(text: str, width: int = 72) -> str:
    """Return the text, cleaned, on one line of at most `width` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def after_return(line: str) -> str:
    """Return what a carriage return leaves visible of a line, as progress bars rely on."""
    return line.rstrip("\r").rpartition("\r")[2]


def count(number: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def seconds_text(seconds: float) -> str:
    """`40 ms`, `3.2 s`, `1 min 20 s`."""
    if seconds >= 59.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    if seconds < 0.095:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"


def size_text(size: int) -> str:
    """`812 B`, `1.2 KB`, `16 MB`; thousands, as file managers count."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("KB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5 or unit == "GB":
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def cost_text(cost: float, *, estimated: bool = False) -> str:
    """`$0.0031`, `$1.25`; `~` in front where a figure was estimated."""
    digits = 2 if cost >= 0.995 else 4
    return f"{'~' if estimated else ''}${cost:.{digits}f}"


def step_ok(step: Step) -> bool:
    """Whether the step did what it meant to do."""
    if step.execution is None:
        return not isinstance(step.action, Malformed)
    return step.execution.status is Status.OK


def step_mark(step: Step) -> str:
    """A mark for how the step came out."""
    return "?" if isinstance(step.action, Proposal) else "✓" if step_ok(step) else "✗"


def step_summary(step: Step) -> str:
    """`step 2 · KeyError · 0.4 s · $0.0012`."""
    execution = step.execution
    parts = [f"step {step.index + 1}"]
    if execution is not None:
        if execution.status is not Status.OK:
            parts.append(_failure(execution))
        parts.append(seconds_text(execution.seconds))
    elif not isinstance(step.action, RunCode):
        parts += {Malformed: ["no code that could run"], Proposal: ["not run"]}.get(type(step.action), [])
        parts.append(seconds_text(step.completion.seconds))
    if step.completion.usage.cost:
        parts.append(cost_text(step.completion.usage.cost, estimated=step.completion.usage.estimated))
    return " · ".join(parts)


def _failure(execution: Execution) -> str:
    if execution.status is Status.ERROR and execution.error is not None:
        return one_line(execution.error.type, 40)
    return {Status.ERROR: "error", Status.TIMEOUT: "out of time"}.get(execution.status, str(execution.status))


def trouble(execution: Execution) -> str:
    """Say in a sentence what happened to code that neither ended well nor raised; empty where nothing is to be said."""
    text = {
        Status.TIMEOUT: "It took too long and was interrupted.",
        Status.KILLED: "The Python process died.",
        Status.STOPPED: "Stopped.",
        Status.LOST: "The sandbox was lost while this ran; it may have had effects.",
    }.get(execution.status, "")
    if execution.state_lost:
        names = ", ".join(one_line(name, 40) for name in execution.lost[:12])
        more = f" and {len(execution.lost) - 12} more" if len(execution.lost) > 12 else ""
        text += f" Variables of earlier steps are gone{': ' if names else ''}{names}{more}. Files are still there."
    return text.strip()


def turn_summary(turn: Turn, *, free: bool | None = None) -> str:
    """`✓ 3 steps · 4.2 s · 1,234 tokens · $0.0031`; `free` says what no cost means, None leaves it open."""
    ending = turn.outcome.ending if turn.outcome else Ending.FAILED
    parts = [count(len(turn.steps), "step")]
    if ending is not Ending.ANSWERED:
        parts.insert(0, str(ending))
    if turn.ended is not None:
        parts.append(seconds_text((turn.ended - turn.started).total_seconds()))
    usage = turn.usage
    if usage.tokens:
        parts.append(("~" if usage.estimated else "") + count(usage.tokens, "token"))
    if usage.cost:
        parts.append(cost_text(usage.cost, estimated=usage.estimated))
    elif free is not None:
        parts.append("free" if free else "cost unknown")
    return f"{_ENDING_MARKS[ending]} {' · '.join(parts)}"


def columns_that_fit(table: Table, width: int, *, widest: int = 32) -> int:
    """Return how many of the first columns fit into `width` cells, at least one, two cells apart and each `widest` at most."""
    used = 0
    for index, name in enumerate(table.columns):
        cells = [name, *(row[index] for row in table.rows)]
        used += min(widest, max(len(cell) for cell in cells)) + 2
        if used > width:
            return max(1, index)
    return len(table.columns)
