"""A conversation as a Jupyter notebook (nbformat 4.5) that runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Sequence

from codeact_bot.types import Execution, File, Malformed, RunCode, Status, Step, Thread, Turn

Cell = dict[str, object]
Load = Callable[[str], Awaitable[bytes]]

CARRIED = 1024 * 1024
"""Bytes of an attached file that the notebook carries with it; a larger one is only named."""


async def notebook(thread: Thread, turns: Sequence[Turn], load: Load) -> str:
    """Return the notebook's JSON: questions, thoughts and answers as text, code with the outputs it had."""
    cells = [_text(f"# {' '.join(thread.title.split())}\n\n`{thread.id}`")]
    for turn in turns:
        cells += await _turn(turn, load)
    numbered = [{"id": f"cell-{index}", **cell} for index, cell in enumerate(cells)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": numbered}, ensure_ascii=False, indent=1) + "\n"


async def _turn(turn: Turn, load: Load) -> list[Cell]:
    cells = [_text(f"## {' '.join(turn.incoming.author.name.split())}\n\n{turn.incoming.text}")]
    cells += [await _attached(file, load) for file in turn.incoming.files]
    for step in turn.steps:
        cells += await _step(step, load)
    return [*cells, _text(turn.outcome.text)] if turn.outcome else cells


async def _attached(file: File, load: Load) -> Cell:
    if file.size > CARRIED:
        return _text(f"Attached: `{file.name}` ({file.size:,} bytes), which this notebook does not carry. Put it beside the notebook.")
    data = base64.b64encode(file.data if file.data is not None else await load(file.digest)).decode()
    lines = ["import base64, pathlib", "", f"path = pathlib.Path({file.name!r})", "path.parent.mkdir(parents=True, exist_ok=True)"]
    return _code("\n".join([*lines, f"path.write_bytes(base64.b64decode({data!r}));"]), [], [])


async def _step(step: Step, load: Load) -> list[Cell]:
    if isinstance(step.action, Malformed):
        return [_text(step.action.thought)] if step.action.thought else []
    if not isinstance(step.action, RunCode):
        return []
    thought = [_text(step.action.thought)] if step.action.thought else []
    run = step.execution
    failed = run is None or run.status is not Status.OK
    cell = _code(step.action.code, await _outputs(run, load) if run else [], ["raises-exception"] if failed else [])
    return [*thought, cell]


async def _outputs(run: Execution, load: Load) -> list[Cell]:
    outputs: list[Cell] = []
    if run.output:
        outputs.append({"output_type": "stream", "name": "stdout", "text": run.output})
    for image in run.images:
        data = base64.b64encode(image.data if image.data is not None else await load(image.digest)).decode()
        outputs.append({"output_type": "display_data", "data": {"image/png": data, "text/plain": image.name}, "metadata": {}})
    if run.value is not None:
        outputs.append({"output_type": "execute_result", "execution_count": None, "data": {"text/plain": run.value}, "metadata": {}})
    if run.error is not None:
        trace = run.error.traceback.splitlines()
        outputs.append({"output_type": "error", "ename": run.error.type, "evalue": run.error.message, "traceback": trace})
    return outputs


def _text(source: str) -> Cell:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code(source: str, outputs: list[Cell], tags: list[str]) -> Cell:
    return {"cell_type": "code", "execution_count": None, "metadata": {"tags": tags} if tags else {}, "source": source, "outputs": outputs}
