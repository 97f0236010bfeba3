"""What the terminal chat must do beside the contract: show every kind of event, and nothing that controls the terminal."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from adapters.console import About, ConsoleAdapter, Line
from codeact_bot.ports import ChatAdapter
from codeact_bot.types import Author, Incoming
from tests.adapters import stage

HOSTILE = (
    "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]8;;http://evil\x07link\x1b]8;;\x07\x1bP1$r\x1b\\\x9b2J\x90x\x9c"
    "\x07\x08\x0e\x7f\u202eevil\u2066\u200b\u200f\ufeff\U000e0041 [bold red]markup[/] [link=x]y[/link] [label](http://lie) &#x202e;&#x1b;[2J \r over"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An adapter with its stage and a way to see what people see."""

    adapter: ChatAdapter
    core: stage.Stage
    screen: io.StringIO


@pytest.fixture(params=["paper", "terminal"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    core = stage.Stage(stage.play_every_kind)
    screen = io.StringIO()
    console = Console(file=screen, width=90, height=40, force_terminal=request.param == "terminal", highlight=False, _environ={"TERM": "xterm"})
    adapter = ConsoleAdapter(
        thread=stage.THREAD,
        author=Author(id="1", name="Ada"),
        desk=core,
        about=About(model="scripted", sandbox="process (plain)", demo=True, warning="Nothing is isolated."),
        saved=tmp_path,
        console=console,
        lines=stage.listed([Line(text="first"), Line(text="second")]),
        keyboard=False,
    )
    core.adapter = adapter
    return Place(adapter=adapter, core=core, screen=screen)


def incoming(text: str = "first") -> Incoming:
    return Incoming(id="1", thread=stage.THREAD, author=Author(id="1", name="Ada"), text=text)


async def test_every_kind_of_event_is_shown(place: Place) -> None:
    await place.adapter.listen(place.core)
    text = place.screen.getvalue()
    for part in ("Building the image", "prcie", "repeats itself", "more rows", "Python process died", "leads"):
        assert part in text


async def test_nothing_that_sandbox_or_model_write_controls_the_place(place: Place) -> None:
    turn = stage.turn_of(incoming())
    reply = await place.adapter.reply(turn)
    for event in stage.every_kind(turn, HOSTILE):
        await reply.show(event)
    text = place.screen.getvalue()
    assert not [c for c in text if unicodedata.category(c) == "Cf"]
    assert not set(text) & set("\x07\x08\x0e\x7f\x90\x9b\x9c")
    for sequence in ("\x1b[2J", "\x1b]0;", "\x1bP", "evil\x07", ";;http://evil", ";http://lie"):
        assert sequence not in text
    assert "[bold red]markup[/]" in text


async def test_hostile_output_in_any_pieces_is_tamed(place: Place) -> None:
    turn = stage.turn_of(incoming())
    reply = await place.adapter.reply(turn)
    for character in HOSTILE:
        await reply.show(stage.Output(text=character))
        await reply.show(stage.Thought(text=character))
    await reply.show(stage.StepDone(step=stage.ran(0, "x", output=HOSTILE)))
    await reply.show(stage.ended(turn, [], "Done."))
    assert not set(place.screen.getvalue()) & set("\x07\x08\x0e\x7f\x90\x9b\x9c\u202e\u200b\u2066")
