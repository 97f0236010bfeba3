"""Native streams and sessions, where the workspace has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.common import pace
from adapters.slack import reply as replies
from adapters.slack import stream
from codeact_bot.types import CodeStarted, Output, StepDone, Thought, TurnDone
from tests.adapters import stage
from tests.slack.conftest import World, until
from tests.slack.emulator import ANN, BOB, CHANNEL, TEAM, labels, shown
from tests.slack.proxy import Fault

pytestmark = pytest.mark.needs("slack")

STEP = stage.ran(0, "print(2 + 2)", "Let me add.", output="4\n")
HOSTILE = "<!channel> ``` [bank.com](https://evil.com)\n"


@pytest.fixture(autouse=True)
def _quick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(replies, "EVERY", 0.05)
    world.proxy.streams = True


async def typed(world: World, words: str) -> dict[str, Any]:
    """Wait for words in the only post."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = await world.slack.posts()
        return len(found) == 1 and words in found[0]["text"]

    await until(there)
    return found[0]


async def test_an_answer_is_typed_out_and_then_folds(world: World) -> None:
    ts = await world.ask()
    lease, turn, reply = await world.core.begin()
    for event in [Thought(text="Let me "), Thought(text="add.\n"), CodeStarted(index=0, code="print(2 + 2)"), Output(text="4\n"), Output(text="half a li")]:
        await reply.show(event)
        await asyncio.sleep(0.1)
    post = await typed(world, "4\n")
    assert post["thread_ts"] == ts
    assert post["text"] == "Working…\nLet me add.\n[in_progress] Running\n\n```python\nprint(2 + 2)\n```\n\n```\n4\n"
    await reply.show(StepDone(step=STEP))
    assert (await typed(world, "[complete]"))["text"].endswith("```\n[complete] step 1 · 0.4 s · $0.0012 · Let me add.\n")
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is **4**.", [STEP])))
    (post,) = await world.slack.posts()
    assert "It is \n4\n." in shown(post)
    assert labels(post) == ["Retry", "Show code", "Download notebook", "Fork from here"]
    assert not world.proxy.typed
    statuses = [given["status"] for method, given in world.proxy.given if method == "agents.sessions.setStatus"]
    assert statuses == ["processing", "active"]


async def test_a_stream_is_rolled_over_before_slack_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SECONDS", 0.3)
    await world.ask()
    lease, turn, reply = await world.core.begin()
    for number in range(12):
        await reply.show(Thought(text=f"Thought {number}.\n"))
        await asyncio.sleep(0.1)
    assert world.proxy.calls["chat.startStream"] >= 2
    (post,) = await world.slack.posts()
    assert all(f"Thought {number}." in post["text"] for number in range(12))
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.")))
    (post,) = await world.slack.posts()
    assert "It is 4." in shown(post)


async def test_a_stream_that_was_cut_off_goes_on_as_edits_of_the_same_post(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    world.proxy.typed.clear()
    await reply.show(Thought(text="After the cut.\n"))

    async def goes_on() -> bool:
        (post,) = await world.slack.posts()
        return "After the cut." in shown(post) and labels(post) == ["Stop"]

    await until(goes_on)
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.")))
    (post,) = await world.slack.posts()
    assert "It is 4." in shown(post)


@pytest.mark.parametrize("method", ["chat.startStream", "chat.appendStream", "chat.stopStream"])
@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=429, error="ratelimited", retry_after="1"), Fault(error="invalid_chunks")])
async def test_faults_of_streams_lose_and_double_nothing(world: World, method: str, fault: Fault) -> None:
    world.proxy.faults[method] = [fault]
    await world.ask()
    lease, turn, reply = await world.core.begin()
    await reply.show(Thought(text="Let me see.\n"))
    await asyncio.sleep(0.3)
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.")))
    assert [shown(post).count("It is 4.") for post in await world.slack.posts()] == [1]


async def test_a_workspace_without_streams_is_asked_once(world: World) -> None:
    world.proxy.streams = False
    for _ in range(2):
        await world.ask()
        await world.core.answer("It is 4.")
    assert (world.proxy.calls["chat.startStream"], world.proxy.calls["agents.sessions.setStatus"]) == (1, 1)
    assert [shown(post).count("It is 4.") for post in await world.slack.posts()] == [1, 1]


async def test_slacks_own_stop_button_stops_for_those_who_may(world: World) -> None:
    ts = await world.ask()
    await world.core.begin()
    for number, user in enumerate((BOB, ANN)):
        assert not world.core.stopped
        event = {"type": "agent_session_stopped", "channel": CHANNEL, "thread_ts": ts, "user": user, "event_ts": f"9.{number}", "streaming_message_ts": []}
        name = await world.proxy.inject("events_api", {"type": "event_callback", "team_id": TEAM, "event_id": f"S{number}", "event": event})
        await until(lambda name=name: world.proxy.acknowledged(name))
    assert world.core.stopped


async def test_nothing_that_is_streamed_pings_or_pretends(world: World) -> None:
    await world.ask()
    _, _, reply = await world.core.begin()
    for event in [Thought(text=HOSTILE), CodeStarted(index=0, code=HOSTILE), Output(text=HOSTILE)]:
        await reply.show(event)
        await asyncio.sleep(0.1)
    text = (await typed(world, "```\n&lt;!"))["text"]
    thought, code = text.split("```python", 1)
    assert "<" not in thought + code
    assert "bank.com (https://evil.com)" in thought
    assert code.count("```") == 2


async def test_what_slack_did_not_append_is_appended_later(world: World) -> None:
    await world.ask()
    _, _, reply = await world.core.begin()
    await reply.show(Thought(text="One.\n"))
    await typed(world, "One.")
    world.proxy.faults["chat.appendStream"] = [Fault(status=429, error="ratelimited", retry_after="1"), Fault(status=503)]
    await reply.show(Thought(text="Two.\n"))
    await asyncio.sleep(0.2)
    await reply.show(Thought(text="Three.\n"))
    assert (await typed(world, "Three."))["text"] == "Working…\nOne.\nTwo.\nThree.\n"


async def test_a_long_output_is_typed_out_at_its_end_and_says_so(world: World) -> None:
    await world.ask()
    _, _, reply = await world.core.begin()
    await reply.show(CodeStarted(index=0, code="print('x')"))
    await reply.show(Output(text="a" * 9_000 + "\nlast\n"))
    text = (await typed(world, "last\n"))["text"]
    assert "characters, shown at the end …" in text
    assert len(text) < 6_500
