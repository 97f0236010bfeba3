"""Never twice, never lost, on the real discord.py: injected faults, restarts, permissions, late interactions."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapters.common import pace
from adapters.discord import interactions
from adapters.discord.pages import final
from codeact_bot.types import Author, File, Incoming, StepDone, Thought, ThreadId, TurnDone
from tests.adapters import stage
from tests.discord.conftest import World
from tests.discord.test_messages import own


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_WAIT", 0.01)


STEP = stage.ran(0, "x = 1", "A thought.", files=(File.of("out.csv", b"a\n1\n"),), tables=(stage.TABLE,))


def check(world: World) -> None:
    posts = [message for message in world.thread.history() if message.author.id == world.env.backend.bot_user.id]
    assert [each.content.count("It is 4.") for each in posts] == [1, 0, 0]
    assert sorted(file.filename for each in posts for file in each.attachments) == ["out.csv", "table-1.csv"]


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("request_", [("POST", "/channels/*/messages"), ("PATCH", "/channels/*/messages/*"), ("GET", "/channels/*/messages")])
async def test_what_discord_did_not_take_is_posted_once(world: World, request_: tuple[str, str], status: int) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    await reply.show(Thought(text="Let me see."))
    world.env.inject_error(*request_, status=status, times=8)
    await reply.show(StepDone(step=STEP))
    done = await world.core.end(lease, turn, "It is 4.", [STEP])
    await asyncio.wait_for(reply.show(TurnDone(turn=done)), 120)
    check(world)


async def test_an_opening_that_fails_is_made_up_for(world: World) -> None:
    await world.ask()
    world.env.inject_error("POST", "/channels/*/threads", status=500, times=8)
    await world.core.answer("It is 4.", [STEP])
    check(world)


async def test_an_answer_that_was_owed_is_delivered_after_a_restart_without_repeating_what_is_there(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    done = replace(await world.core.end(lease, turn, "It is 4.", [STEP]), reply=reply.reference)
    await reply.show(TurnDone(turn=done))
    check(world)
    await world.restart()
    again = await world.adapter.reply(done)
    await again.show(TurnDone(turn=done))
    check(world)


async def test_a_dead_workers_turn_goes_on_in_the_same_post(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    await world.restart()
    again = await world.adapter.reply(replace(turn, reply=reply.reference, steps=(stage.ran(0, "x"),)))
    await again.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.", [STEP])))
    check(world)


async def test_a_worker_that_died_before_it_knew_its_post_leaves_no_second_one(world: World) -> None:
    await world.ask()
    lease, turn, _ = await world.core.begin()
    await world.restart()
    again = await world.adapter.reply(replace(turn, steps=(stage.ran(0, "x"),)))
    await again.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.", [STEP])))
    check(world)


async def test_the_store_is_waited_for(world: World) -> None:
    world.core.failing = 1
    await world.ask()
    await asyncio.wait_for(world.core.arrived.wait(), 10)
    assert len(world.core.accepted) == 1


async def test_without_the_permission_for_threads_it_answers_in_the_channel(world: World) -> None:
    world.env.inject_error("POST", "/channels/*/threads", status=403, code=50013, times=None)
    await world.ask()
    await world.core.answer("It is 4.")
    assert "It is 4." in own(world, world.channel)[-1].content


async def test_an_answer_after_the_interactions_token_ended_is_an_ordinary_message(world: World) -> None:
    await world.ada.slash(world.channel, "codeact ask", question="What is 2 + 2?")
    await world.env.advance_time(16 * 60)
    await world.core.answer("It is 4.")
    assert "It is 4." in own(world, world.thread)[-1].content


async def test_a_deleted_post_comes_back_with_the_answer(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    (post,) = own(world, world.thread)
    await world.adapter.client.wire.delete(post.channel.id, post.id)
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.")))
    assert "It is 4." in own(world, world.thread)[-1].content


async def test_a_long_answer_is_split_within_the_limits(world: World) -> None:
    await world.ask()
    text = "\n\n".join(f"Paragraph {number} with 🙂 words. " * 12 for number in range(20)) + "\n```py\n" + "x = 1\n" * 900 + "```"
    await world.core.answer(text)
    posts = own(world, world.thread)
    assert len(posts) > 5
    assert all(len(each.content.encode("utf-16-le")) // 2 <= 2000 for each in posts)
    assert all(each.content.count("```") % 2 == 0 for each in posts)
    assert sum(each.content.count("x = 1") for each in posts) == 900


async def test_a_command_that_takes_long_is_acknowledged_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "SECONDS", 0.05)
    accept = world.core.accept
    before: list[str] = []

    async def slow(incoming: Incoming) -> bool:
        await asyncio.sleep(0.3)
        before.extend(str(request) for request in world.env.http_requests)
        return await accept(incoming)

    world.core.accept = slow  # type: ignore[method-assign]
    used = await world.ada.slash(world.channel, "codeact ask", question="What is 2 + 2?")
    assert any("callback" in request for request in before)
    assert used.response.content == "I am on it."
    assert len(world.core.accepted) == 1


def test_files_beyond_the_guilds_limit_are_named_and_others_posted() -> None:
    incoming = Incoming(id="1", thread=ThreadId("discord:1:2"), author=Author(id="1", name="Ada"), text="?")
    files = tuple(File.of(f"{number}.csv", b"x" * number) for number in range(1, 25))
    posts = final(stage.ended(stage.turn_of(incoming), [stage.ran(0, "x", files=files)], "Done.").turn, 22)
    assert all(len(post.files) <= 10 and sum(file.size for file in post.files) <= 22 for post in posts)
    assert len([file for post in posts for file in post.files]) == 18
    assert "23.csv (23 B), 24.csv (24 B)" in posts[-1].content


def test_over_long_output_is_a_file_with_its_head_and_tail_in_a_post() -> None:
    incoming = Incoming(id="1", thread=ThreadId("discord:1:2"), author=Author(id="1", name="Ada"), text="?")
    output = "\n".join(f"line {number}" for number in range(2000))
    posts = final(stage.ended(stage.turn_of(incoming), [stage.ran(0, "x", output=output)], "Done.").turn, 1 << 20)
    assert "line 0\n" in posts[1].content
    assert "line 1999\n" in posts[1].content
    assert "characters left out" in posts[1].content
    assert posts[1].content.count("\n") < 40
    assert posts[-1].files[0].data == output.encode()
