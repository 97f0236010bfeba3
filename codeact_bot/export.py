"""A conversation as Markdown, JSON, a runnable notebook, or a line of training data."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime

from codeact_bot.agent.prompt import system_prompt
from codeact_bot.agent.window import turn_messages
from codeact_bot.errors import FileRefused
from codeact_bot.notebook import notebook
from codeact_bot.store import documents
from codeact_bot.types import Ending, Execution, File, Limits, Malformed, Proposal, RunCode, Step, Table, Thread, Turn

Load = Callable[[str], Awaitable[bytes]]
"""Returns the bytes of a digest (`Store.load_file`). Raises FileRefused when there are none."""

FORMATS = ("md", "json", "ipynb", "jsonl")


async def export(thread: Thread, turns: Sequence[Turn], format: str, load: Load) -> bytes:
    """Write a conversation in one of `FORMATS`, as UTF-8. Raises FileRefused for another format."""
    if format not in FORMATS:
        raise FileRefused(f"There is no export format {format!r}. Choose one of {', '.join(FORMATS)}.")
    thread = documents.decode(Thread, documents.document(thread))
    turns = [documents.decode(Turn, documents.document(turn)) for turn in turns]
    if format == "json":
        return _json(thread, turns)
    if format == "jsonl":
        return _training(thread, turns)
    data = await _bytes_of(turns, load, attachments=format == "ipynb")
    return notebook(thread, turns, data) if format == "ipynb" else _markdown(thread, turns, data).encode()


async def _bytes_of(turns: Sequence[Turn], load: Load, *, attachments: bool) -> dict[str, bytes]:
    """Load the images and, where asked for, what people attached; what the store lacks stays out."""
    images = [file for turn in turns for step in turn.steps if step.execution for file in step.execution.images]
    attached = [file for turn in turns for file in turn.incoming.files] if attachments else []
    data: dict[str, bytes] = {}
    for file in (*images, *attached):
        if file.digest not in data:
            try:
                data[file.digest] = await load(file.digest)
            except FileRefused:
                continue
    return data


def _json(thread: Thread, turns: Sequence[Turn]) -> bytes:
    whole = {"format": "codeact-bot/1", "thread": documents.document(thread), "turns": [documents.document(turn) for turn in turns]}
    return json.dumps(whole, indent=2, ensure_ascii=False, default=datetime.isoformat).encode() + b"\n"


def _training(thread: Thread, turns: Sequence[Turn]) -> bytes:
    """Write the answered turns as one line of chat messages, roles alternating, as the model saw them."""
    answered = _answered(turns)
    if not answered:
        return b""
    system = system_prompt(today=thread.created.date(), limits=Limits())
    messages = [{"role": "system", "content": system}]
    for message in (message for turn in answered for message in turn_messages(turn)):
        if messages[-1]["role"] == message.role:
            messages[-1]["content"] += f"\n\n{message.content}"
        else:
            messages.append({"role": message.role, "content": message.content})
    return json.dumps({"messages": messages}, ensure_ascii=False).encode() + b"\n"


def _answered(turns: Sequence[Turn]) -> list[Turn]:
    """Choose the turns that were answered, and with an answer to an approval what was approved for it."""
    chosen: list[Turn] = []
    for turn in reversed(turns):
        asked_for = bool(chosen) and (said := chosen[-1].incoming.approval) is not None and said.turn == turn.id
        if asked_for or (turn.outcome and turn.outcome.ending is Ending.ANSWERED):
            chosen.append(turn)
    return chosen[::-1]


def _markdown(thread: Thread, turns: Sequence[Turn], data: Mapping[str, bytes]) -> str:
    people = ", ".join(map(_inline, thread.participants))
    head = [f"# {_inline(thread.title) or 'Conversation'}", f"Conversation {_code(thread.id)} with {people}. {thread.created:%Y-%m-%d %H:%M} UTC."]
    parts = [part for number, turn in enumerate(turns, 1) for part in _turn(number, turn, data)]
    return "\n\n".join(part for part in (*head, *parts) if part) + "\n"


def _turn(number: int, turn: Turn, data: Mapping[str, bytes]) -> Iterator[str]:
    asked = turn.incoming
    yield f"## {number}. {_inline(asked.author.name)}, {asked.at:%Y-%m-%d %H:%M} UTC"
    yield _quoted(asked.text)
    yield _files("Attached", asked.files)
    for step in turn.steps:
        yield from _step(step, data)
    if turn.outcome:
        ending = turn.outcome.ending
        yield "### Answer" if ending is Ending.ANSWERED else "### Approval" if ending is Ending.APPROVAL else f"### No answer ({ending})"
        yield contained(turn.outcome.text)


def _step(step: Step, data: Mapping[str, bytes]) -> Iterator[str]:
    action = step.action
    if isinstance(action, Malformed):
        yield from (contained(action.thought), fenced(action.code), contained(action.reason))
    if isinstance(action, Proposal):
        yield from (contained(action.thought), fenced(action.code, "python"), "*It waits for an approval and has not run.*")
    if isinstance(action, RunCode):
        yield from (contained(action.thought), fenced(action.code, "python"))
        yield from _execution(step.execution, data) if step.execution else ["*The run was interrupted; its result is not known.*"]


def _execution(run: Execution, data: Mapping[str, bytes]) -> Iterator[str]:
    yield f"*{run.status}, {run.seconds:.2f} s*"
    yield fenced(run.output, "text") if run.output else ""
    yield f"*{run.cut:,} bytes of output are not kept.*" if run.cut else ""
    yield fenced(run.value, "text") if run.value else ""
    yield from (_table(table) for table in run.tables)
    for image in run.images:
        yield _image(image, data.get(image.digest))
    if run.error:
        yield fenced(run.error.traceback or f"{run.error.type}: {run.error.message}", "text")
    yield _files("Files", run.files)
    yield "\n".join(f"- {_inline(note)}" for note in run.notes)
    yield f"Variables lost: {', '.join(map(_code, run.lost)) or 'all'}" if run.state_lost else ""


def _image(image: File, data: bytes | None) -> str:
    if data is None:
        return f"*The image {_code(image.name)} is not kept any more.*"
    return f"![{_inline(image.name)}](data:image/png;base64,{base64.b64encode(data).decode()})"


def _files(label: str, files: Sequence[File]) -> str:
    return f"{label}: " + ", ".join(f"{_code(file.name)} ({file.size:,} bytes)" for file in files) if files else ""


def _table(table: Table) -> str:
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in (table.columns, *table.rows)]
    lines.insert(1, "|" + " --- |" * len(table.columns))
    shown = f"{len(table.rows):,} of {table.total_rows:,} rows, {len(table.columns):,} of {table.total_columns:,} columns"
    whole = (len(table.rows), len(table.columns)) == (table.total_rows, table.total_columns)
    return "\n".join(lines) + ("" if whole else f"\n\n*{shown}*")


def _cell(text: str) -> str:
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    """Return a text as one line in which nothing is markup."""
    return re.sub(r"([\\`*_\[\]<>#!&~$])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    line = " ".join(text.split())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """Return a code block whose fence is longer than any run of backticks in it."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip(chr(10))}\n{ticks}"


def contained(text: str) -> str:
    """Return Markdown that ends where it ends: with an open fence or HTML in it, as a quotation."""
    prose, open_fence = _outside_fences(text)
    return _quoted(text) if open_fence or re.search(r"<[A-Za-z!/?]", prose) else text.strip()


def _quoted(text: str) -> str:
    """Return a text as a quotation, which ends every block that it opens."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _outside_fences(text: str) -> tuple[str, bool]:
    """Return the lines outside code blocks, and whether a block is still open at the end (CommonMark 0.31, 4.5)."""
    prose, fence = [], ""
    for line in text.splitlines():
        found = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if fence:
            closes = found and found[1].startswith(fence) and not found[2].strip()
            fence = "" if closes else fence
        elif found and not (found[1][0] == "`" and "`" in found[2]):
            fence = found[1]
        else:
            prose.append(line)
    return "\n".join(prose), bool(fence)
