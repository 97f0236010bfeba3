"""Files on their way in and out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from adapters.common.rebuilds import shown_steps
from adapters.render import clean
from codeact_bot.types import File, Step, Turn

MOST = 20
"""Files of a turn that are uploaded; the notebook has the figures, the working folder the files."""
LONG_SHOWN = 3
"""Outputs of a turn that become files; the notebook has all."""
LONG = 3_000
"""Characters of output above which the whole of it becomes a file."""


LINES = 30
"""Lines of code or output that a post shows; the file, the modal and the notebook have all."""


def attachments(turn: Turn) -> list[File]:
    """Return the figures and files that a turn made: of each file the last version, and no content twice; the last MOST of them."""
    runs = [step.execution for step in shown_steps(turn) if step.execution is not None]
    files = {file.name: file for run in runs for file in run.files}
    made = {file.digest: file for file in [*(image for run in runs for image in run.images), *files.values()]}
    return list(made.values())[-MOST:]


def over_long(step: Step) -> File | None:
    """Return the output of a step as a text file where it is too long for a post."""
    if step.execution is None or len(step.execution.output) <= LONG:
        return None
    return File.of(f"output-step-{step.index + 1}.txt", clean(step.execution.output).encode("utf-8", "replace"))


def long_outputs(turn: Turn) -> list[File]:
    """Return the outputs of a turn that are too long for a post, the last ones, as files."""
    return [file for step in shown_steps(turn) if (file := over_long(step)) is not None][-LONG_SHOWN:]


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return a plain file name that is not taken yet."""
    path = PurePosixPath(clean(wanted).replace("\\", "/").replace("`", "'"))
    plain = path.name if path.name not in ("", ".", "..") else "file"
    name, number = plain, 2
    while name in taken:
        name = f"{PurePosixPath(plain).stem}-{number}{PurePosixPath(plain).suffix}"
        number += 1
    return name
