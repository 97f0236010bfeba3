"""From a message to the answer below it."""

from __future__ import annotations

import asyncio

import pytest

from adapters.common import counter
from adapters.slack import hearing
from codeact_bot.types import CodeStarted, Output, Thought, TurnDone
from tests.adapters import stage
from tests.slack.conftest import World, until
from tests.slack.emulator import ANN, BOB, BOT, CHANNEL, TEAM, labels, shown

pytestmark = pytest.mark.needs("slack")


async def test_a_mention_becomes_a_thread_with_the_answer(world: World) -> None:
    ts = await world.ask("What is 2 + 2?")
    (incoming,) = world.core.accepted
    assert (incoming.text, incoming.author.name, incoming.thread) == ("What is 2 + 2?", "ann", f"slack:{TEAM}:{CHANNEL}:{ts}")
    lease, turn, reply = await world.core.begin()
    (post,) = await world.slack.posts()
    assert post["thread_ts"] == ts
    assert "Working…" in shown(post)
    assert labels(post) == ["Stop"]
    await reply.show(Thought(text="Let me add."))
    await reply.show(CodeStarted(index=0, code="print(2 + 2)"))
    await reply.show(Output(text="4\n"))

    async def builds_up() -> bool:
        (post,) = await world.slack.posts()
        return all(part in shown(post) for part in ("Let me add.", "print(2 + 2)", "4"))

    await until(builds_up)
    (post,) = await world.slack.posts()
    (code,) = [each for block in post["blocks"] for each in block["elements"] if each.get("language")]
    assert (code["language"], code["elements"][0]["text"]) == ("python", "print(2 + 2)")
    done = await world.core.end(lease, turn, "It is **4**.", [stage.ran(0, "print(2 + 2)", "Let me add.", output="4\n")])
    await reply.show(TurnDone(turn=done))
    (post,) = await world.slack.posts()
    assert "✓ step 1 · 0.4 s · $0.0012 · Let me add." in shown(post)
    assert "It is \n4\n." in shown(post)
    assert "print(2 + 2)" not in shown(post)
    assert labels(post) == ["Retry", "Show code", "Download notebook", "Fork from here"]


async def test_follow_ups_need_no_mention_and_reach_the_same_conversation(world: World) -> None:
    ts = await world.ask("first")
    await world.core.answer()
    await world.slack.send("second", user=BOB, thread=ts)
    await until(lambda: len(world.core.accepted) == 2)
    first, second = world.core.accepted
    assert (second.text, second.author.name, second.thread) == ("second", "bob", first.thread)
    _, post = await world.answered("Done again.")
    assert "Done again." in shown(post)
    assert post["thread_ts"] == ts
    assert world.proxy.calls["conversations.replies"] == world.proxy.calls["conversations.history"] == 0, "the history is the bot's own"


async def test_a_direct_message_needs_no_mention(world: World) -> None:
    world.core.adapter = world.adapter
    channel = await world.adapter._wire.direct(ANN)
    await world.slack.send("What is 2 + 2?", channel=channel)
    await until(lambda: bool(world.core.accepted))
    assert world.core.accepted[0].thread == f"slack:{TEAM}:{channel}"
    await world.core.answer()
    (post,) = await world.slack.posts(channel)
    assert "thread_ts" not in post


async def test_what_is_not_for_the_bot_is_left_alone(world: World) -> None:
    ts = await world.slack.send("good morning")
    await world.slack.send("good morning, Ann", thread=ts, user=BOB)
    await world.ask("a question")
    assert [each.text for each in world.core.accepted] == ["a question"]


async def test_mentions_channels_and_links_are_plain_text(world: World) -> None:
    await world.ask(f"Ask <@{BOB}> in <#C2|random> about <https://a.b/c|this> &amp; <!here>")
    assert world.core.accepted[0].text == "Ask @bob in #random about this (https://a.b/c) & @here"


async def test_a_question_that_waits_is_shown_as_queued(world: World) -> None:
    ts = await world.ask("first")
    await world.ask("second", thread=ts)

    async def marked() -> bool:
        found = [each for each in await world.slack.messages() if each["text"].endswith("second")]
        return bool(found[0].get("reactions"))

    await until(marked)
    await world.core.answer("One.")
    await world.core.answer("Two.")
    assert not await marked()
    assert [shown(each).count("One.") for each in await world.slack.posts()] == [1, 0]


async def test_a_question_that_waits_for_a_moment_only_is_not_marked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "SOON", 3.0)
    ts = await world.ask("first")
    await world.ask("second", thread=ts)
    await world.core.answer("One.")
    await world.core.answer("Two.")
    await asyncio.sleep(3.5)
    assert world.proxy.calls["reactions.add"] == 0


async def test_nothing_but_a_mention_is_answered_with_help(world: World) -> None:
    await world.slack.send(f"<@{BOT}>")

    async def helped() -> bool:
        return any("Ask" in shown(post) for post in await world.slack.posts())

    await until(helped)
    assert not world.core.accepted


async def test_attachments_land_in_the_question(world: World) -> None:
    await world.slack.attach(f"<@{BOT}> sum it", "sales.csv", b"a,b\n1,2\n")
    await until(lambda: bool(world.core.accepted))
    (file,) = world.core.accepted[0].files
    assert (file.name, file.data) == ("sales.csv", b"a,b\n1,2\n")


async def test_the_mark_of_a_question_that_waited_goes_though_the_bot_restarted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ts = await world.ask("first")
    lease, turn, _ = await world.core.begin()
    await world.ask("second", thread=ts)

    async def marked() -> bool:
        return any(each.get("reactions") for each in await world.slack.messages() if each["text"].endswith("second"))

    await until(marked)
    await world.restart()
    monkeypatch.setattr(counter, "WAITED", 0.1)
    await asyncio.sleep(0.2)
    await world.core.end(lease, turn)
    await world.core.begin()
    assert not await marked()
