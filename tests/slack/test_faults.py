"""Never twice, never lost: redeliveries, dropped sockets, limits, outages, restarts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from adapters.common import pace
from adapters.slack.reply import EVERY
from codeact_bot.types import File, Incoming, StepDone, Thought, TurnDone
from tests.adapters import stage
from tests.slack.conftest import World, until
from tests.slack.emulator import ANN, BOT, CHANNEL, TEAM, shown
from tests.slack.limits import check_payload
from tests.slack.proxy import BROKEN, CUT, CUT_AFTER, RATE_LIMITED, Fault

pytestmark = pytest.mark.needs("slack")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_WAIT", 0.05)


async def test_a_mention_that_also_arrives_as_a_message_and_twice_is_one_question(world: World) -> None:
    world.proxy.twice = True
    ts = await world.ask("first")
    await world.ask("second", thread=ts)
    await asyncio.sleep(0.5)
    assert [each.text for each in world.core.accepted] == ["first", "second"]
    assert len(world.proxy.acks) >= 2


async def test_two_sockets_make_one_question(world: World) -> None:
    from tests.slack.conftest import World as Another

    other = Another(slack=world.slack, proxy=world.proxy, core=world.core, access=world.access)
    await other.start()
    try:
        await world.ask()
        await asyncio.sleep(0.5)
        assert len(world.core.accepted) == 1
    finally:
        await other.stop()


def mention(number: int) -> dict[str, object]:
    event = {"type": "app_mention", "channel": CHANNEL, "ts": f"17.{number}", "user": ANN, "text": f"<@{BOT}> hello"}
    return {"type": "event_callback", "team_id": TEAM, "event_id": f"E{number}", "event": event}


async def test_nothing_is_acknowledged_before_the_store_has_it(world: World) -> None:
    held, accept = asyncio.Event(), world.core.accept

    async def slow(incoming: Incoming) -> bool:
        await held.wait()
        return await accept(incoming)

    world.core.accept = slow  # type: ignore[method-assign]
    name = await world.proxy.inject("events_api", mention(1))
    again = await world.proxy.inject("events_api", mention(1))
    await asyncio.sleep(0.3)
    assert not world.proxy.acks
    held.set()
    await until(lambda: world.proxy.acknowledged(name) and world.proxy.acknowledged(again))
    assert len(world.core.accepted) == 1


async def test_what_the_store_did_not_take_is_not_acknowledged_and_taken_when_it_comes_again(world: World) -> None:
    world.core.failing = 1
    name = await world.proxy.inject("events_api", mention(1))
    await until(lambda: world.core.failing == 0)
    again = await world.proxy.inject("events_api", mention(1))
    await until(lambda: world.proxy.acknowledged(again))
    assert not world.proxy.acknowledged(name)
    assert len(world.core.accepted) == 1


async def test_an_envelope_that_comes_again_after_the_answer_changes_nothing(world: World) -> None:
    await world.proxy.inject("events_api", mention(1))
    await until(lambda: bool(world.core.accepted))
    await world.core.answer("It is 4.")
    name = await world.proxy.inject("events_api", mention(1))
    await until(lambda: world.proxy.acknowledged(name))
    assert len(world.core.accepted) == 1
    assert len(await world.slack.posts()) == 1


async def test_the_bots_token_is_shown_to_nobody_but_slack(world: World) -> None:
    seen: list[str] = []

    async def stranger(request: web.Request) -> web.Response:
        seen.append(str(request.headers))
        return web.Response(text="data")

    runner = web.ServerRunner(web.Server(stranger))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/data.csv"  # type: ignore[union-attr]
    payload = mention(1)
    payload["event"]["files"] = [{"id": "F1", "name": "data.csv", "size": 4, "is_external": True, "url_private": address}]  # type: ignore[index]
    await world.proxy.inject("events_api", payload)
    await until(lambda: bool(world.core.accepted))
    await runner.cleanup()
    assert not seen
    assert world.core.accepted[0].files == ()


async def test_after_a_dropped_socket_questions_are_heard_again(world: World) -> None:
    await world.proxy.drop()
    await until(lambda: bool(world.proxy.sockets), 30)
    await world.ask("after the break")
    assert world.core.accepted[0].text == "after the break"


@pytest.mark.parametrize("fault", [RATE_LIMITED, BROKEN, CUT, Fault(error="internal_error"), Fault(error="fatal_error", after=True), CUT_AFTER])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update", "files.completeUploadExternal"])
async def test_what_slack_did_not_take_is_posted_once(world: World, method: str, fault: Fault) -> None:
    await world.ask()
    step = stage.ran(0, "x = 1", "A thought.", files=(File.of("out.csv", b"a\n1\n"),), tables=(stage.TABLE,))
    lease, turn, reply = await world.core.begin()
    await reply.show(Thought(text="Let me see."))
    world.proxy.faults[method] = [fault] * 2
    await reply.show(StepDone(step=step))
    done = await world.core.end(lease, turn, "It is 4.", [step])
    await reply.show(TurnDone(turn=done))
    posts = await world.slack.posts()
    assert [shown(each).count("It is 4.") for each in posts] == [1, 0, 0]
    assert len([each for each in posts if any(block["type"] == "table" for block in each.get("blocks") or ())]) == 1
    assert [file["name"] for each in posts for file in each.get("files", ())] == ["out.csv", "table-1.csv"]
    assert len(world.proxy.faults[method]) < 2


@pytest.mark.parametrize("fault", [CUT_AFTER, BROKEN, RATE_LIMITED])
async def test_an_opening_that_fails_is_made_up_for_once(world: World, fault: Fault) -> None:
    world.proxy.faults["chat.postMessage"] = [fault]
    await world.ask()
    await world.answered("It is 4.")
    assert [shown(each).count("It is 4.") for each in await world.slack.posts()] == [1]


async def test_an_outage_during_a_run_delays_the_post_and_no_more(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    world.proxy.down = True
    for number in range(20):
        await reply.show(Thought(text=f"Thought {number}. "))
    done = await world.core.end(lease, turn, "It is 4.")
    delivering = asyncio.create_task(reply.show(TurnDone(turn=done)))
    await asyncio.sleep(0.5)
    assert not delivering.done()
    world.proxy.down = False
    await delivering
    assert [shown(each).count("It is 4.") for each in await world.slack.posts()] == [1]


async def test_a_question_by_command_is_posted_once_though_its_answer_was_lost(world: World) -> None:
    world.proxy.faults["chat.postMessage"] = [CUT_AFTER, CUT_AFTER]
    await world.slack.command("ask What is 2 + 2?")
    await until(lambda: bool(world.core.accepted))
    await world.answered("It is 4.")
    posts = await world.slack.posts()
    assert [("asks:" in shown(each), "It is 4." in shown(each)) for each in posts] == [(True, False), (False, True)]
    assert posts[1]["thread_ts"] == posts[0]["ts"]


async def test_an_answer_that_was_owed_is_delivered_after_a_restart_without_repeating_what_is_there(world: World) -> None:
    await world.ask()
    step = stage.ran(0, "x = 1", files=(File.of("out.csv", b"a\n1\n"),), tables=(stage.TABLE,))
    lease, turn, reply = await world.core.begin()
    done = replace(await world.core.end(lease, turn, "It is 4.", [step]), reply=reply.reference)
    world.proxy.faults["files.getUploadURLExternal"] = [BROKEN] * 1000
    delivering = asyncio.create_task(reply.show(TurnDone(turn=done)))
    await until(lambda: world.proxy.calls["files.getUploadURLExternal"] > 0)
    delivering.cancel()
    await asyncio.wait([delivering])
    await world.restart()
    world.proxy.faults.clear()
    again = await world.adapter.reply(done)
    await again.show(TurnDone(turn=done))
    posts = await world.slack.posts()
    assert len(posts) == 3
    assert [file["name"] for each in posts for file in each.get("files", ())] == ["out.csv", "table-1.csv"]


async def test_a_reply_that_gave_way_does_not_undo_what_its_successor_shows(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    await reply.show(Thought(text="I begin."))
    await until(lambda: world.proxy.calls["chat.update"] > 0)
    await reply.show(Thought(text=" I go on, and this edit has to wait for its time."))
    await reply.aclose()
    done = await world.core.end(lease, turn)
    successor = await world.adapter.reply(replace(done, reply=reply.reference))
    await successor.show(TurnDone(turn=done))
    await reply.show(Thought(text=" Still here."))
    await asyncio.sleep(2 * EVERY)
    (post,) = await world.slack.posts()
    assert "Done." in shown(post)


async def test_blocks_that_slack_does_not_take_become_text(world: World) -> None:
    await world.ask()
    lease, turn, reply = await world.core.begin()
    step = stage.ran(0, "x", tables=(stage.TABLE,))
    world.proxy.faults["chat.postMessage"] = [Fault(error="invalid_blocks")]
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.", [step])))
    assert [each.get("text") for each in await world.slack.posts()][1] == "A table"


async def test_a_channel_that_is_gone_does_not_hold_up_the_worker(world: World) -> None:
    world.proxy.faults["chat.postMessage"] = [Fault(error="channel_not_found")] * 10
    await world.ask()
    await asyncio.wait_for(world.core.answer(), 5)
    assert not await world.slack.posts()


async def test_edits_keep_slacks_pace(world: World) -> None:
    await world.ask()
    clock = asyncio.get_running_loop().time
    began = clock()
    lease, turn, reply = await world.core.begin()
    for number in range(300):
        await reply.show(Thought(text=f"{number} "))
        await asyncio.sleep(0.01)
    await reply.show(TurnDone(turn=await world.core.end(lease, turn, "It is 4.")))
    assert 2 <= world.proxy.calls["chat.update"] <= (clock() - began) / 1.2 + 2
    for method, given in world.proxy.given:
        if method in ("chat.update", "chat.postMessage"):
            check_payload(method, given)


async def test_a_file_that_cannot_be_posted_gets_a_sentence(world: World) -> None:
    gone = replace(File.of("gone.csv", b"a,b\n"), data=None)
    await world.ask()
    lease, turn, reply = await world.core.begin()
    done = await world.core.end(lease, turn, "Here.", [stage.ran(0, "x", "", files=(File.of("empty.txt", b""),))])
    (step,) = done.steps
    assert step.execution is not None
    lost = replace(step, execution=replace(step.execution, files=(gone, *step.execution.files)))
    await reply.show(TurnDone(turn=replace(done, steps=(lost,))))
    text = " ".join(shown(post) for post in await world.slack.posts())
    assert "gone.csv" in text
    assert "empty.txt is empty" in text


async def test_a_bot_without_a_connection_says_so(world: World) -> None:
    async def heard() -> bool:
        return bool((await world.adapter.check()).ok)

    await until(heard)
    await world.stop()
    check = await world.adapter.check()
    assert (check.ok, check.text) == (False, "not connected")
    assert "https://slack-status.com" in check.remedy
