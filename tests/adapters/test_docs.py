"""The page on the terminal chat names every command, and no other."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from adapters.console.commands import FORMATS, Commands
from tests.adapters import stage

PAGE = Path(__file__).parents[2] / "docs" / "terminal.md"


def test_the_commands_are_documented(tmp_path: Path) -> None:
    page = PAGE.read_text()
    commands = Commands(desk=stage.Stage(stage.play_every_kind), console=Console(file=io.StringIO()), thread=stage.THREAD, saved=tmp_path)
    assert set(re.findall(r"^\| `(/\w+)", page, re.MULTILINE)) == {command.name for command in commands.all}
    assert all(f"`{kind}`" in page for kind in FORMATS)
