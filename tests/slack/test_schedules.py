"""Schedules in Slack: made, listed and ended by command and by mention; answers where they belong; two real workers, one run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.common.approvals import VOID
from codeact_bot.schedule import Scheduler
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Access, Kind, now
from tests import openai_server
from tests.slack import emulator, proxy
from tests.slack.conftest import World, until
from tests.slack.emulator import ANN, BOB, BOT, CHANNEL, TEAM, labels, shown
from tests.slack.test_deeds import whispered
from tests.slack.test_serve import answer_in, serving, tokens

pytestmark = pytest.mark.needs("slack")


async def run_due(world: World) -> None:
    """Let time pass until every schedule is due, and send what is."""
    for each in await world.core.store.schedules():
        await world.core.store.set_next(each.id, now() - timedelta(seconds=1))
    await Scheduler(world.core.store, world.core, world.access, lambda: ("slack:",), timedelta(hours=1)).tick()


async def posted(world: World, words: str) -> dict:
    found: list[dict] = []

    async def there() -> bool:
        found[:] = [each for each in await world.slack.posts() if words in shown(each)]
        return bool(found)

    await until(there)
    return found[-1]


async def test_one_made_in_a_channel_begins_a_thread_each_time(world: World) -> None:
    await world.slack.command("schedule every weekday at 9 UTC: how many *tickets* are open?")
    said = shown(await whispered(world, "every weekday at 09:00 (UTC)"))
    assert "The answers come to this channel." in said
    for _ in range(2):
        await run_due(world)
        _, post = await world.answered("Seven.")
        (root,) = [each for each in await world.slack.posts() if each["ts"] == post["thread_ts"]]
        assert "every weekday at 09:00 (UTC), scheduled by ann" in shown(root)
        assert "how many" in shown(root)
    assert len({each.thread for each in world.core.accepted}) == 2
    await world.slack.send("And closed?", thread=post["thread_ts"])
    await until(lambda: len(world.core.accepted) == 3)
    assert world.core.accepted[2].thread == world.core.accepted[1].thread, "a follow-up belongs to the run's conversation"


async def test_one_made_in_a_thread_by_mention_goes_on_in_its_conversation(world: World) -> None:
    ts = await world.ask()
    await world.answered()
    await world.slack.send(f"<@{BOT}> schedule every day at 17:30 Europe/Berlin: draw it again", thread=ts)
    note = await posted(world, "every day at 17:30 (Europe/Berlin)")
    assert note["thread_ts"] == ts
    assert "The answers come here." in shown(note)
    await run_due(world)
    _, post = await world.answered("Drawn.")
    assert post["thread_ts"] == ts
    assert (await posted(world, "scheduled by ann"))["thread_ts"] == ts
    assert world.core.accepted[1].thread == world.core.accepted[0].thread
    assert len(world.core.accepted) == 2, "the wish itself is no question"


async def test_a_redelivered_wish_makes_no_second_schedule(world: World) -> None:
    world.proxy.twice = True
    await world.slack.send(f"<@{BOT}> schedule every day at 9: count")
    await posted(world, "every day at 09:00")
    event = next(entry for entry in (await world.slack.messages()) if "schedule every day" in entry["text"])
    payload = {"type": "app_mention", "channel": CHANNEL, "ts": event["ts"], "user": ANN, "text": event["text"]}
    name = await world.proxy.inject("events_api", {"type": "event_callback", "team_id": TEAM, "event_id": "again", "event": payload})
    await until(lambda: world.proxy.acknowledged(name))
    assert len(await world.core.store.schedules()) == 1


async def test_times_are_by_the_persons_clock(world: World) -> None:
    await world.slack.command("schedule every day at 9: count")
    await whispered(world, "every day at 09:00")
    (made,) = await world.core.store.schedules()
    told = (await world.adapter._wire.client.users_info(user=ANN))["user"].get("tz") or "UTC"
    assert made.zone == told


async def test_a_message_about_some_schedule_is_a_question(world: World) -> None:
    await world.ask("schedule analysis: which trains are late?")
    assert world.core.accepted[0].text == "schedule analysis: which trains are late?"
    assert not await world.core.store.schedules()


async def test_only_the_maker_and_admins_change_one(world: World) -> None:
    await world.slack.command("schedule")
    await whispered(world, "There are no schedules in this channel")
    await world.slack.command("schedule every day at 9: count")
    await whispered(world, "every day at 09:00")
    (made,) = await world.core.store.schedules()
    await world.slack.command("schedule list", user=BOB)
    assert "count" in shown(await whispered(world, made.id))
    for verb in ("pause", "resume", "run", "delete"):
        before = len(await world.slack.whispers())
        await world.slack.command(f"schedule {verb} {made.id}", user=BOB)
        await until(lambda before=before: _more(world, before))
        assert "only the person who made a schedule" in shown((await world.slack.whispers())[-1])
    await world.slack.command(f"schedule pause {made.id}")
    await whispered(world, "Paused: count")
    await world.slack.command(f"schedule resume {made.id}")
    await whispered(world, "It runs again, next on")
    await world.slack.command(f"schedule run {made.id}")
    await until(lambda: len(world.core.accepted) == 1)
    await world.slack.command(f"schedule delete {made.id}")
    await whispered(world, "Deleted: count")
    await world.slack.command(f"schedule delete {made.id}")
    await whispered(world, "There is no schedule")
    await world.slack.command("schedule every blue moon: count")
    await whispered(world, "I do not understand when that is")


async def _more(world: World, before: int) -> bool:
    return len(await world.slack.whispers()) > before


@pytest.mark.parametrize("access", [Access(deny=(f"slack:user:{BOB}",))])
async def test_strangers_make_none(world: World) -> None:
    await world.slack.command("schedule every day at 9: count", user=BOB)
    await whispered(world, "you are not on the list")
    assert not await world.core.store.schedules()


async def test_a_run_that_asks_is_answered_by_its_maker_and_waits_until_the_next(world: World) -> None:
    ts = await world.ask()
    await world.answered()
    await world.slack.send(f"<@{BOT}> schedule every day at 9 UTC: draw it again", thread=ts)
    await posted(world, "every day at 09:00 (UTC)")
    await run_due(world)
    await world.core.propose()
    asking = await posted(world, "May I run this code?")
    assert asking["thread_ts"] == ts
    await world.slack.press(asking, "Approve", user=BOB)
    await whispered(world, "only the person who asked")
    await world.slack.press(asking, "Approve")
    await until(lambda: len(world.core.accepted) == 3)
    approval = world.core.accepted[2].approval
    assert approval is not None
    assert (approval.yes, approval.asker.id, world.core.accepted[2].fire) == (True, ANN, None)
    _, answer = await world.answered("It is 42.")
    assert answer["thread_ts"] == ts
    assert "Approved by ann." in shown(answer)
    await run_due(world)
    await world.core.propose("print(7 * 7)")
    left = await posted(world, "print(7 * 7)")
    await run_due(world)
    await world.slack.press(left, "Approve")
    await whispered(world, VOID)
    assert [each.kind for each in world.core.accepted][2:] == [Kind.APPROVAL, Kind.QUESTION, Kind.QUESTION], "the run after it stands alone"


@pytest.mark.needs("mongo")
@pytest.mark.timeout(300)
async def test_two_real_workers_run_it_once_and_a_missed_run_is_told_of(tmp_path: Path, mongo_url: str) -> None:
    database = f"schedules-{tmp_path.name}"
    store = await MongoStore.open(mongo_url, database)
    chosen = {"CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true", "CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": database}
    try:
        async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between:
            with openai_server.running(code="```python\nprint(2**100)\n```\n") as model:
                given = {"OPENAI_BASE_URL": model, **chosen, **tokens(between.address)}
                async with serving(tmp_path, **given), serving(tmp_path, **given):
                    await until(lambda: len(between.sockets) == 2, 60)
                    await slack.send(f"<@{BOT}> schedule every day at 9: 2**100?")
                    await until(store.schedules, 30)
                    (made,) = await store.schedules()
                    await store.set_next(made.id, now() - timedelta(seconds=1))
                    first = await answer_in(slack, openai_server.RESULT)
                await store.set_next(made.id, now() - timedelta(hours=3))
                async with serving(tmp_path, **given):
                    missed = await answer_in(slack, "it is too late to make up for it")
                    assert labels(missed)[0] == "Retry"
                    await slack.press(missed, "Retry")
                    await until(lambda: _answers(slack, 2), 60)
            roots = [each for each in await slack.posts() if "scheduled by ann" in shown(each)]
            assert len(roots) == 2, "one for each time"
            assert first["thread_ts"] == roots[0]["ts"]
            assert len({each["ts"] for each in await slack.posts() if openai_server.RESULT in shown(each)}) == 2
    finally:
        await store._client.drop_database(database)
        await store.aclose()


async def _answers(slack: emulator.Emulator, count: int) -> bool:
    found = [each for each in await slack.posts() if openai_server.RESULT in shown(each) and "Retry" in labels(each)]
    return len(found) == count
