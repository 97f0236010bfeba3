"""What people write while no worker is connected is answered when one is again, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from codeact_bot.types import Access, Author, Fire, Incoming, ThreadId
from tests.adapters.core import Core
from tests.discord.conftest import World
from tests.discord.test_messages import own

AWAY = 600.0
"""Seconds, of the simulated clock, between what is known and the outage."""


async def go_away(world: World) -> None:
    """Let nobody hear what is written from now on, until the restart."""
    await world.env.advance_time(AWAY)
    world.adapter.client.ear = None


def texts(world: World) -> list[str]:
    return [incoming.text for incoming in world.core.accepted]


async def test_follow_ups_mentions_and_direct_messages_are_made_up_for_in_order_and_once(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    await world.bob.send_dm("direct")
    await world.core.answer()
    thread = world.thread
    await go_away(world)
    await world.ada.send(thread, "in the thread")
    await world.bob.send_dm("direct again")
    await world.ask("in the channel")
    await world.ada.send(thread, "in the thread again")
    await world.ada.send(world.channel, "for somebody else")
    assert texts(world) == ["first", "direct"]
    for _ in range(3):
        await world.restart()
    assert texts(world) == ["first", "direct", "in the thread", "direct again", "in the channel", "in the thread again"]
    first, direct, *late = world.core.accepted
    assert [incoming.thread == {"in": first, "direct": direct}[incoming.text.split()[0]].thread for incoming in late] == [True, True, False, True]
    for _ in late:
        await world.core.answer("Late.")
    assert len(own(world, thread)) == 3
    assert len(world.channel.threads) == 2


async def test_what_was_heard_before_is_not_heard_again(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    await world.ada.send(world.thread, "second")
    await world.core.answer()
    await world.ada.slash(world.thread, "codeact new")
    for pause in (0.0, AWAY):
        await world.env.advance_time(pause)
        await world.restart()
    assert texts(world) == ["first", "second"]


async def test_only_places_in_which_something_new_was_written_are_looked_through(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    await world.env.advance_time(AWAY)
    await world.ada.send(world.thread, "second")
    await world.core.answer()
    await world.env.advance_time(AWAY)
    before = len(world.env.http_requests)
    await world.restart()
    asked = [str(request) for request in world.env.http_requests[before:]]
    assert any(f"/channels/{world.thread.id}/messages" in request for request in asked)
    assert not any(f"/channels/{world.channel.id}/messages" in request for request in asked)


async def test_what_people_said_in_a_thread_before_the_bot_was_called_there_is_not_for_it(world: World) -> None:
    root = await world.ada.send(world.channel, "root")
    await world.adapter.client.wire.thread(world.channel.id, root.id, "talk")
    thread = world.thread
    await world.bob.send(thread, "chatter")
    await world.env.advance_time(1)
    await world.ada.send(thread, f"{world.mention} first")
    await world.core.begin()
    world.adapter.client.ear = None
    await world.env.advance_time(1)
    await world.bob.send(thread, "second")
    await world.restart()
    assert texts(world) == ["first", "second"]


async def test_nobody_is_told_anything_twice(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    world.access = Access(deny=(f"discord:user:{world.bob.id}",))
    await go_away(world)
    await world.ada.send(world.channel, world.mention)
    await world.ada.send(world.thread, "stop")
    await world.bob.send(world.thread, "let me in")
    await world.restart()
    assert texts(world) == ["first"]
    assert len(own(world, world.thread)) == 1
    assert own(world, world.channel) == []
    assert world.bob.user.dm_channel.history() == []


async def test_a_stop_that_was_missed_stops_the_run_before_it_and_no_later_one(world: World) -> None:
    await world.ask("first")
    await world.core.begin()
    await go_away(world)
    await world.ada.send(world.thread, "stop")
    await world.restart()
    assert len(world.core.stopped) == 1


async def test_what_was_missed_is_heard_though_a_schedule_ran_meanwhile_and_a_stop_stops_that(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    (first,) = world.core.accepted
    await go_away(world)
    await world.ada.send(world.thread, "second")
    await world.env.advance_time(AWAY)
    now = world.env.now()
    await world.core.accept(replace(first, id="schedule:1:due", text="every hour", at=now, fire=Fire(schedule="1", said="every hour", due=now)))
    await world.core.begin()
    await world.env.advance_time(AWAY)
    await world.ada.send(world.thread, "stop")
    await world.restart()
    assert len(world.core.stopped) == 1
    assert texts(world) == ["first", "every hour", "second"]


async def test_a_stop_that_was_heard_does_not_stop_what_was_asked_after_it(world: World) -> None:
    await world.ask("first")
    lease, turn, _ = await world.core.begin()
    await world.ada.send(world.thread, "stop")
    await world.core.end(lease, turn, "Stopped.")
    await world.ada.send(world.thread, "second")
    await world.core.begin()
    await world.restart()
    assert len(world.core.stopped) == 1


async def test_a_bot_that_knows_no_question_begins_with_what_is_asked_now(world: World) -> None:
    world.adapter.client.ear = None
    await world.ask("of old")
    await world.restart()
    assert texts(world) == []


async def test_what_was_asked_too_long_ago_or_has_a_thread_is_left_alone(world: World) -> None:
    await world.ask("answered, with another database")
    await world.core.answer()
    world.core = Core()
    known = Incoming(id="1", thread=ThreadId("discord:@me:1"), author=Author(id="1", name="Ada"), text="?", place="here:1:1", at=datetime(2025, 1, 1, tzinfo=UTC))
    await world.core.store.push(known)
    lease = await world.core.store.claim("test", 60, ("discord:",))
    assert lease is not None
    await world.core.end(lease, await world.core.store.open_turn(lease))
    await world.restart()
    assert texts(world) == []
    world.adapter.client.ear = None
    await world.ask("two days ago")
    await world.env.advance_time(2 * 86_400)
    await world.ask("today")
    await world.restart()
    assert texts(world) == ["today"]


async def test_a_channel_that_cannot_be_read_does_not_keep_the_others_from_being_heard(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    await go_away(world)
    await world.ada.send(world.thread, "second")
    world.env.inject_error("GET", f"/channels/{world.channel.id}/messages", status=403, code=50001, times=None)
    await world.restart()
    assert texts(world) == ["first", "second"]
