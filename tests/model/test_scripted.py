"""The scripted model behaves as a real one does: it streams, is cut off, breaks and refuses."""

from __future__ import annotations

import pytest

from codeact_bot.errors import ModelRefused, ModelUnavailable
from codeact_bot.model.scripted import Broken, ScriptedModel
from codeact_bot.ports import Model
from codeact_bot.types import Message

ASKED = [Message(role="user", content="What is two and two?")]


class Ear:
    """Hears until `enough` stands in the text."""

    def __init__(self, enough: str | None = None) -> None:
        self.enough = enough
        self.pieces: list[str | None] = []

    @property
    def text(self) -> str:
        last = len(self.pieces) - self.pieces[::-1].index(None) if None in self.pieces else 0
        return "".join(piece or "" for piece in self.pieces[last:])

    async def __call__(self, piece: str | None) -> bool:
        self.pieces.append(piece)
        return self.enough is not None and self.enough in self.text


async def test_streams_the_replies_in_order():
    model: Model = ScriptedModel(["first of the replies", lambda messages: messages[-1].content.upper()])
    ear = Ear()
    first = await model.complete(ASKED, ear)
    second = await model.complete(ASKED, Ear())
    assert first.text == ear.text == "first of the replies"
    assert len(ear.pieces) > 3
    assert second.text == "WHAT IS TWO AND TWO?"
    assert model.name == first.model == "scripted"
    await model.aclose()


async def test_stops_where_the_hearer_has_enough():
    model = ScriptedModel(["1 2 3 4 5 6 7 8 9 10 11 12", "next"])
    completion = await model.complete(ASKED, Ear("6"))
    assert completion.text == "1 2 3 4 5 6 7 8 9 10"[: len(completion.text)]
    assert "6" in completion.text
    assert "12" not in completion.text
    assert (await model.complete(ASKED, Ear())).text == "next"


async def test_counts_usage_and_costs_nothing():
    completion = await ScriptedModel(["abcdefghi"]).complete(ASKED, Ear())
    assert (completion.usage.input_tokens, completion.usage.output_tokens, completion.usage.cost) == (5, 3, 0.0)


async def test_a_broken_stream_starts_over_with_the_next_reply():
    ear = Ear()
    completion = await ScriptedModel([Broken("lost words"), "kept"]).complete(ASKED, ear)
    assert None in ear.pieces
    assert completion.text == ear.text == "kept"
    assert completion.attempts == 2


async def test_enough_before_the_break_takes_no_further_reply():
    model = ScriptedModel([Broken("long enough already"), "next"])
    assert (await model.complete(ASKED, Ear("long"))).attempts == 1
    assert (await model.complete(ASKED, Ear())).text == "next"


async def test_raises_what_the_script_says():
    with pytest.raises(ModelUnavailable, match="gone"):
        await ScriptedModel([ModelUnavailable("gone")]).complete(ASKED, Ear())


async def test_says_when_the_script_is_over():
    model = ScriptedModel(["only"])
    await model.complete(ASKED, Ear())
    with pytest.raises(ModelRefused, match="no reply left: it was given 1"):
        await model.complete(ASKED, Ear())
    assert len(model.asked) == 2
