"""Schedules in Discord, on the real discord.py."""

from __future__ import annotations

from datetime import timedelta

import pytest

from codeact_bot.schedule import Scheduler
from codeact_bot.types import Access, TurnDone, now
from tests.discord.conftest import World
from tests.discord.test_messages import own
from tests.discord.test_missed import go_away


async def run_due(world: World) -> None:
    """Let time pass until every schedule is due, and send what is."""
    for each in await world.core.store.schedules():
        await world.core.store.set_next(each.id, now() - timedelta(seconds=1))
    await Scheduler(world.core.store, world.core, world.access, lambda: ("discord:",), timedelta(hours=1)).tick()


async def test_one_made_in_a_channel_begins_a_thread_each_time(world: World) -> None:
    made = await world.ada.slash(world.channel, "codeact schedule add", when="every weekday at 9", question="How many @everyone?", zone="Europe/Berlin")
    assert "**every weekday at 09:00 (Europe/Berlin)**: How many" in made.response.content
    assert made.response.ephemeral
    for number in (1, 2):
        await run_due(world)
        await world.core.answer(f"{number}.")
        assert len(world.channel.threads) == number
    (first, *_) = own(world, world.channel)
    assert first.content.startswith("**every weekday at 09:00 (Europe/Berlin), scheduled by Ada**: How many")
    assert "@everyone" not in first.content.replace("\\@everyone", "")
    thread = world.channel.threads[1]
    await world.bob.send(thread, "And now?")
    assert world.core.accepted[2].thread == world.core.accepted[1].thread


async def test_one_made_in_a_thread_goes_on_there_after_a_restart(world: World) -> None:
    await world.ask()
    await world.core.answer()
    await world.ada.send(world.thread, "schedule every day at 17:30: draw it")
    assert "**every day at 17:30 (UTC)**: draw it" in own(world, world.thread)[-1].content
    await world.restart()
    await run_due(world)
    await world.core.answer("Drawn.")
    asked, answer = own(world, world.thread)[-2:]
    assert asked.content == "**every day at 17:30 (UTC), scheduled by Ada**: draw it"
    assert answer.content.startswith("Drawn.")
    assert world.core.accepted[1].thread == world.core.accepted[0].thread
    assert len(world.channel.threads) == 1


async def test_a_run_that_is_taken_up_again_asks_once(world: World) -> None:
    """The worker died after it had posted the question and the beginning of the answer."""
    await world.ada.slash(world.channel, "codeact schedule add", when="every day at 9", question="How many?")
    await run_due(world)
    lease, turn, _ = await world.core.begin()
    await world.restart()
    done = await world.core.end(lease, turn, "Seven.")
    reply = await world.adapter.reply(done)
    await reply.show(TurnDone(turn=done))
    assert len(own(world, world.channel)) == 1
    assert [post.content.partition("\n")[0] for post in own(world, world.thread)] == ["Seven."]


async def test_only_the_maker_and_admins_change_one(world: World) -> None:
    assert "There are no schedules" in (await world.ada.slash(world.channel, "codeact schedule list")).response.content
    await world.ada.slash(world.channel, "codeact schedule add", when="every day at 9", question="Count.")
    (made,) = await world.core.store.schedules()
    assert made.id in (await world.bob.slash(world.channel, "codeact schedule list")).response.content
    for what in ("pause", "resume", "run", "delete"):
        refused = await world.bob.slash(world.channel, "codeact schedule change", what=what, name=made.id)
        assert "only the person who made a schedule" in refused.response.content
    for what, said in (("pause", "Paused: Count."), ("resume", "It runs again"), ("run", "I am on it"), ("delete", "Deleted: Count.")):
        assert said in (await world.ada.slash(world.channel, "codeact schedule change", what=what, name=made.id)).response.content
    assert len(world.core.accepted) == 1
    assert not await world.core.store.schedules()
    assert "There is no schedule" in (await world.ada.slash(world.channel, "codeact schedule change", what="run", name=made.id)).response.content
    wrong = await world.ada.slash(world.channel, "codeact schedule add", when="every blue moon", question="Count.")
    assert "I do not understand when that is" in wrong.response.content


@pytest.mark.parametrize("access", [Access(allow=("discord:user:1",))])
async def test_strangers_make_none(world: World) -> None:
    refused = await world.ada.slash(world.channel, "codeact schedule add", when="every day at 9", question="Count.")
    assert "not on the list" in refused.response.content
    assert not await world.core.store.schedules()


async def test_one_that_was_wished_for_while_nobody_listened_is_made_once(world: World) -> None:
    await world.ask()
    await world.core.answer()
    await go_away(world)
    await world.ada.send(world.thread, "schedule every day at 9: count")
    for _ in range(3):
        await world.restart()
    (made,) = await world.core.store.schedules()
    await go_away(world)
    await world.ada.send(world.thread, f"schedule delete {made.id}")
    await world.restart()
    assert len(await world.core.store.schedules()) == 1, "a change may be out of date by now"
    assert [post.content.partition("\n")[0] for post in own(world, world.thread)][1:] == ["**every day at 09:00 (UTC)**: count"]
    assert len(world.core.accepted) == 1
