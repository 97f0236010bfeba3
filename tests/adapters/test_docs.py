"""The pages on the terminal chat and the chat platforms name every command, and no other."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from adapters.common.commands import NAMES
from adapters.console.commands import FORMATS, Commands
from codeact_bot.types import Author
from tests.adapters import stage

DOCS = Path(__file__).parents[2] / "docs"


def test_the_commands_are_documented(tmp_path: Path) -> None:
    page = (DOCS / "terminal.md").read_text()
    commands = Commands(desk=stage.Stage(stage.play_every_kind), console=Console(file=io.StringIO()), thread=stage.THREAD, author=Author(id="1", name="Ada"), saved=tmp_path)
    assert set(re.findall(r"^\| `(/\w+)", page, re.MULTILINE)) == {command.name for command in commands.all}
    assert all(f"`{kind}`" in page for kind in FORMATS)


@pytest.mark.parametrize("page", ["slack.md", "discord.md"])
def test_the_commands_of_chat_platforms_are_documented(page: str) -> None:
    rows = re.findall(r"^\| `/codeact ([^`]*)`", (DOCS / page).read_text(), re.MULTILINE)
    named = {part.split()[0] for row in rows for part in row.split("·")}
    assert named == set(NAMES)
