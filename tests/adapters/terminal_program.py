"""A terminal chat over the stage, to be started in a pseudo-terminal: `python -m tests.adapters.terminal_program FOLDER PLAY`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from adapters.console import About, ConsoleAdapter
from codeact_bot.types import Author
from tests.adapters import stage


async def main(folder: Path, play: str) -> None:
    core = stage.Stage({"all": stage.play_every_kind, "stop": stage.play_until_stopped}[play])
    if play == "stop":
        core.ready.clear()
    adapter = ConsoleAdapter(
        thread=stage.THREAD,
        author=Author(id="1", name="Ada"),
        desk=core,
        about=About(model="gpt-5", sandbox="docker (runc)"),
        saved=folder / "saved",
        history=folder / "history",
    )
    core.adapter = adapter
    await adapter.listen(core)
    print(f"LEFT after {len(core.accepted)}: {[message.text for message in core.accepted]!r}")  # noqa: T201
    print("RECORDED", [f"{each.kind} {each.author.name if each.author else ''} {each.thread}" for each in core.recorded])  # noqa: T201
    print("WITH", [file.name for message in core.accepted for file in message.files])  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
