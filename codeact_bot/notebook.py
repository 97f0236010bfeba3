"""A conversation as a notebook that runs (nbformat 4.5)."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from codeact_bot.types import Execution, File, Kind, Malformed, Proposal, RunCode, Status, Step, Table, Thread, Turn

CARRIED_FILE = 1024 * 1024
"""Bytes of the largest attached file that the notebook carries in itself."""
CARRIED_ALL = 8 * 1024 * 1024
"""Bytes of all attached files that it carries."""

Cell = dict[str, Any]


def notebook(thread: Thread, turns: Sequence[Turn], data: Mapping[str, bytes]) -> bytes:
    """Write the notebook; `data` holds the bytes of images and attachments by digest."""
    cells = [_markdown(f"# {thread.title or 'Conversation'}\n\n`{thread.id}`, {thread.created:%Y-%m-%d %H:%M} UTC")]
    room = CARRIED_ALL
    for turn in turns:
        carried = _carried(turn.incoming.files, data, room)
        room -= sum(map(len, carried.values()))
        cells += _turn(turn, carried, data)
    count = 0
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
        if cell["cell_type"] == "code":
            count += 1
            _number(cell, count)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False).encode() + b"\n"


def _number(cell: Cell, count: int) -> None:
    cell["execution_count"] = count
    for output in cell["outputs"]:
        if output["output_type"] == "execute_result":
            output["execution_count"] = count


def _turn(turn: Turn, carried: Mapping[str, bytes], data: Mapping[str, bytes]) -> Iterator[Cell]:
    yield _markdown(f"**{turn.incoming.author.name}:** {turn.incoming.text}")
    if turn.incoming.files:
        yield _code(_writing(turn.incoming.files, carried))
    for step in turn.steps if turn.incoming.kind is not Kind.REBUILD else ():
        yield from _step(step, data)
    if turn.outcome:
        yield _markdown(turn.outcome.text)


def _carried(files: Sequence[File], data: Mapping[str, bytes], room: int) -> dict[str, bytes]:
    """Choose the attached files that fit, with safe names."""
    carried: dict[str, bytes] = {}
    for file in files:
        path = PurePosixPath(file.name)
        content = data.get(file.digest)
        if content is None or len(content) > min(CARRIED_FILE, room) or path.is_absolute() or ".." in path.parts:
            continue
        carried[file.name] = content
        room -= len(content)
    return carried


def _writing(files: Sequence[File], carried: Mapping[str, bytes]) -> str:
    """Return code that writes the attached files, and says which it cannot write."""
    lines = ["# Writes the files that were attached to this message.", "import base64", "from pathlib import Path", ""]
    for file in files:
        if file.name in carried:
            text = base64.b64encode(carried[file.name]).decode()
            lines += [f"Path({file.name!r}).parent.mkdir(parents=True, exist_ok=True)"]
            lines += [f"Path({file.name!r}).write_bytes(base64.b64decode({text!r}))"]
        else:
            lines += [f"print({f'{file.name} ({file.size:,} bytes) is not in this notebook: put it into the working folder yourself.'!r})"]
    return "\n".join(lines)


def _step(step: Step, data: Mapping[str, bytes]) -> Iterator[Cell]:
    action, run = step.action, step.execution
    if isinstance(action, RunCode | Proposal | Malformed) and action.thought:
        yield _markdown(action.thought)
    if isinstance(action, Malformed):
        yield _markdown(f"*{action.reason}*\n\n{_indented(action.code)}")
    if isinstance(action, Proposal):
        yield _markdown(f"*It waits for an approval and has not run, so it is not a cell:*\n\n{_indented(action.code)}")
    if not isinstance(action, RunCode):
        return
    if run is not None and run.status in (Status.OK, Status.ERROR):
        yield _code(action.code, list(_outputs(run, data)), raises=run.status is Status.ERROR)
    else:
        yield _markdown(f"*Did not run to its end ({run.status if run else 'interrupted'}), so it is not a cell:*\n\n{_indented(action.code)}")


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())


def _outputs(run: Execution, data: Mapping[str, bytes]) -> Iterator[Cell]:
    if run.output:
        cut = f"\n[{run.cut:,} bytes of output are not kept]\n" if run.cut else ""
        yield {"output_type": "stream", "name": "stdout", "text": run.output + cut}
    for image in run.images:
        if image.digest in data:
            yield _display({"image/png": base64.b64encode(data[image.digest]).decode(), "text/plain": image.name})
    for table in run.tables:
        yield _display({"text/html": _table(table), "text/plain": f"table of {table.total_rows:,} rows, {table.total_columns:,} columns"})
    if run.value is not None:
        yield {"output_type": "execute_result", "data": {"text/plain": run.value}, "metadata": {}, "execution_count": None}
    if run.error:
        trace = (run.error.traceback or f"{run.error.type}: {run.error.message}").splitlines()
        yield {"output_type": "error", "ename": run.error.type, "evalue": run.error.message, "traceback": trace}


def _display(data: Mapping[str, str]) -> Cell:
    return {"output_type": "display_data", "data": dict(data), "metadata": {}}


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _markdown(text: str) -> Cell:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(source: str, outputs: Sequence[Cell] = (), *, raises: bool = False) -> Cell:
    tags = {"tags": ["raises-exception"]} if raises else {}
    return {"cell_type": "code", "metadata": tags, "source": source, "outputs": list(outputs), "execution_count": None}
