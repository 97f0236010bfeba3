"""Questions that were asked in the web chat and are to be answered in their Discord thread: people there see who asked what."""

from __future__ import annotations

from codeact_bot.types import Author, Incoming, TurnDone
from tests.discord.conftest import World
from tests.discord.test_messages import own

QUESTION = "**Ada** asks in the web chat:\n> And \\@everyone,\n> *why*?"


async def asked_in_the_web(world: World) -> None:
    first = world.core.accepted[0]
    author = Author(id="ada", name="Ada")
    await world.core.accept(
        Incoming(id="web:ada:1", thread=first.thread, author=author, text="And @everyone,\n*why*?", place=first.place, via="the web chat")
    )


async def test_the_question_is_posted_above_its_answer_in_the_thread(world: World) -> None:
    await world.ask()
    await world.core.answer("Four.")
    await asked_in_the_web(world)
    await world.core.answer("Because.")
    assert [post.content.partition("\n\n")[0] for post in own(world, world.thread)][1] == QUESTION
    assert own(world, world.thread)[2].content.startswith("Because.")
    assert len(world.channel.threads) == 1
    assert own(world, world.channel) == []


async def test_one_that_waited_has_no_mark_that_could_be_taken_away(world: World) -> None:
    await world.ask()
    await asked_in_the_web(world)
    await world.core.answer("Four.")
    await world.core.answer("Because.")
    assert own(world, world.thread)[1].content == QUESTION


async def test_after_a_crash_it_is_not_posted_again(world: World) -> None:
    await world.ask()
    await world.core.answer("Four.")
    await asked_in_the_web(world)
    lease, turn, _ = await world.core.begin()
    await world.restart()
    done = await world.core.end(lease, turn, "Because.")
    for _ in range(2):
        reply = await world.adapter.reply(done)
        await reply.show(TurnDone(turn=done))
    contents = [post.content.partition("\n\n")[0] for post in own(world, world.thread)]
    assert contents.count(QUESTION) == 1
    assert len([each for each in contents if each.startswith("Because.")]) == 1
