"""A conversation as Markdown, JSON, a runnable notebook or training data."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime

from codeact_bot import notebook
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.types import Ending, Execution, RunCode, Status, Step, Table, Thread, Turn

Load = Callable[[str], Awaitable[bytes]]
"""Gives a file's bytes by its digest."""

INLINE_IMAGE = 2 * 1024 * 1024
"""Bytes of an image that Markdown holds inside; a larger one is only named."""


async def export(thread: Thread, turns: Sequence[Turn], kind: str, load: Load) -> bytes:
    """Write the turns as `md`, `json`, `ipynb` or `jsonl`, in UTF-8. Raises ConfigurationInvalid for another kind."""
    match kind:
        case "md":
            text = await markdown(thread, turns, load)
        case "json":
            text = as_json(thread, turns)
        case "ipynb":
            text = await notebook.notebook(thread, turns, load)
        case "jsonl":
            text = training(turns)
        case _:
            raise ConfigurationInvalid(f"There is no format {kind!r}; choose md, json, ipynb or jsonl.")
    return text.encode(errors="replace")


def as_json(thread: Thread, turns: Sequence[Turn]) -> str:
    """Return everything but the files' bytes, field by field as in `codeact_bot.types`; times in ISO 8601."""
    return json.dumps({"thread": asdict(thread), "turns": [_plain(turn) for turn in turns]}, default=_scalar, ensure_ascii=False, indent=1) + "\n"


def _plain(turn: Turn) -> dict[str, object]:
    plain = asdict(turn)
    for step, item in zip(turn.steps, plain["steps"], strict=True):
        item["action"] = {"kind": type(step.action).__name__, **item["action"]}
    return plain


def _scalar(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None


def training(turns: Sequence[Turn]) -> str:
    """Return one line per answered turn: `{"messages": [...]}` in chat format, the observations as user messages."""
    return "".join(json.dumps({"messages": _messages(turn)}, ensure_ascii=False) + "\n" for turn in turns if _answered(turn))


def _answered(turn: Turn) -> bool:
    return turn.outcome is not None and turn.outcome.ending is Ending.ANSWERED


def _messages(turn: Turn) -> list[dict[str, str]]:
    attached = f"\n\nAttached: {', '.join(file.name for file in turn.incoming.files)}" if turn.incoming.files else ""
    messages = [{"role": "user", "content": turn.incoming.text + attached}]
    for step in turn.steps:
        messages.append({"role": "assistant", "content": step.completion.text})
        if step.observation:
            messages.append({"role": "user", "content": step.observation})
    return messages


async def markdown(thread: Thread, turns: Sequence[Turn], load: Load) -> str:
    """Return a document that reads well, with the figures inside."""
    parts = [f"# {_line(thread.title)}", f"`{thread.id}` · {', '.join(map(_line, thread.participants))} · {thread.created:%Y-%m-%d %H:%M} UTC"]
    for turn in turns:
        parts += [f"## {_line(turn.incoming.author.name)}, {turn.started:%Y-%m-%d %H:%M}", turn.incoming.text]
        parts += [f"Attached: {', '.join(f'`{file.name}`' for file in turn.incoming.files)}"] if turn.incoming.files else []
        for step in turn.steps:
            parts += await _step(step, load)
        parts += [turn.outcome.text] if turn.outcome else []
    return "\n\n".join(parts) + "\n"


async def _step(step: Step, load: Load) -> list[str]:
    if not isinstance(step.action, RunCode):
        return []
    parts = [step.action.thought, fenced(step.action.code, "python")]
    return parts + (await _result(step.execution, load) if step.execution else ["*Interrupted.*"])


async def _result(run: Execution, load: Load) -> list[str]:
    parts = [fenced(text) for text in (run.output.rstrip("\n"), "" if run.tables else run.value or "") if text]
    parts += [table(one) for one in run.tables]
    parts += [fenced(run.error.traceback or f"{run.error.type}: {run.error.message}", "text")] if run.error else []
    parts += [f"*{run.status}, {run.seconds:.2f} s*"] if run.status is not Status.OK else []
    for image in run.images:
        data = image.data or await load(image.digest)
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}" if len(data) <= INLINE_IMAGE else image.name
        parts.append(f"![{_line(image.name)}]({source})")
    parts += [f"Made: {', '.join(f'`{file.name}` ({file.size:,} bytes)' for file in run.files)}"] if run.files else []
    return parts


def fenced(text: str, language: str = "") -> str:
    """Return a fenced block whose fence is longer than any in the text."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(shown: Table) -> str:
    """Return a Markdown table, with how many rows are left out below it."""
    rows = [shown.columns, tuple("---" for _ in shown.columns), *shown.rows]
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    left_out = shown.total_rows - len(shown.rows)
    return "\n".join(lines) + (f"\n\n*… {left_out:,} more rows*" if left_out > 0 else "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|") or " "


def _line(text: str) -> str:
    return " ".join(text.split())
