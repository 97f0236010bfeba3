"""Questions that were asked in the web chat and are to be answered in their Slack thread: people there see who asked what."""

from __future__ import annotations

from typing import Any

import pytest

from codeact_bot.types import Author, Incoming, StepDone, TurnDone
from tests.adapters import stage
from tests.slack.conftest import World, until
from tests.slack.emulator import BOB, shown

pytestmark = pytest.mark.needs("slack")

TEXT = f"And <@{BOB}>,\n<!channel> *why*?"


async def asked_in_the_web(world: World) -> None:
    first = world.core.accepted[0]
    await world.core.accept(
        Incoming(id="web:ada:1", thread=first.thread, author=Author(id="ada", name="Ada <!here>"), text=TEXT, place=first.place, via="the web chat")
    )


async def questions(world: World) -> list[dict[str, Any]]:
    return [post for post in await world.slack.posts() if "asks in the web chat" in shown(post)]


async def test_the_question_is_posted_above_its_answer_in_the_thread(world: World) -> None:
    ts = await world.ask()
    await world.answered()
    await asked_in_the_web(world)

    async def steps(turn: object, reply: Any) -> None:
        await reply.show(StepDone(step=stage.ran(0, "1")))

    _, post = await world.answered("Because.", during=steps)
    (question,) = await questions(world)
    assert (question["thread_ts"], post["thread_ts"]) == (ts, ts)
    assert float(question["ts"]) < float(post["ts"])
    assert shown(question).startswith("Ada <!here> asks in the web chat:")
    (quote,) = [each for block in question["blocks"] if block["type"] == "rich_text" for each in block["elements"]]
    assert quote["type"] == "rich_text_quote"
    assert f"And <@{BOB}>," in shown(question)
    assert {block["type"] for block in question["blocks"]} == {"context", "rich_text"}, "nothing that Slack parses"
    assert "<" not in question["text"]
    assert "Because." in shown(post)


async def test_after_a_crash_it_is_not_posted_again(world: World) -> None:
    await world.ask()
    await world.answered()
    await asked_in_the_web(world)
    lease, turn, _ = await world.core.begin()
    assert len(await questions(world)) == 1
    await world.restart()
    done = await world.core.end(lease, turn, "Because.")
    for _ in range(2):
        reply = await world.adapter.reply(done)
        await reply.show(TurnDone(turn=done))
    assert len(await questions(world)) == 1
    assert [shown(post).count("Because.") for post in await world.slack.posts()] == [0, 0, 1]


async def test_what_began_by_a_command_goes_on_in_the_thread_that_this_made(world: World) -> None:
    await world.slack.command("ask How many?")
    await until(lambda: bool(world.core.accepted))
    _, first = await world.answered("Seven.")
    await asked_in_the_web(world)
    _, post = await world.answered("Because.")
    (question,) = await questions(world)
    assert question["thread_ts"] == post["thread_ts"] == first["thread_ts"]
