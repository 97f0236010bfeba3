"""A message that one worker takes in wakes another: by the change stream, and by looking again where there is none. And a turn that is taken over keeps its post."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from codeact_bot import service
from codeact_bot.agent.limits import NUDGE
from codeact_bot.arrivals import hear
from codeact_bot.errors import StoreUnavailable
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import CodeStarted, Ending, Limits, Status, ThreadId
from tests.test_service import ONE, Chat, code, message, working

pytestmark = pytest.mark.needs("mongo")


class NoneLeft(Exception):
    """The script of a test is at its end."""


class Streamless(MemoryStore):
    """A database whose change streams fail one after the other, for these reasons; empty for one that tells of a message first."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__()
        self._reasons = reasons

    async def arrivals(self) -> AsyncIterator[None]:
        if not self._reasons:
            raise NoneLeft
        reason = self._reasons.pop(0)
        if not reason:
            yield
        raise StoreUnavailable(reason or "none")


@pytest.fixture
async def stores(mongo_url: str) -> AsyncIterator[list[MongoStore]]:
    """The connections of two workers to one database."""
    database = f"test-{uuid.uuid4().hex}"
    opened = [await MongoStore.open(mongo_url, database) for _ in range(2)]
    yield opened
    await opened[0]._client.drop_database(database)
    for store in opened:
        await store.aclose()


@pytest.fixture
async def chats() -> list[Chat]:
    return [Chat(), Chat()]


async def test_a_change_stream_wakes_the_worker_that_has_room(stores: list[MongoStore], chats: list[Chat], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by the clock here, so that only the change stream can be what wakes the other."""
    monkeypatch.setattr(service, "LEASE_SECONDS", 600.0)
    watched = asyncio.Event()
    watch = stores[1]._threads.watch

    def watching(*given: object, **more: object) -> object:
        watched.set()
        return watch(*given, **more)

    async with working(stores[0], chats[0], [code("import time\ntime.sleep(60)")], concurrency=1) as full:
        await full.accept(message("a", ThreadId("test:full")))
        await chats[0].until(lambda: bool(chats[0].kinds("a")))
        monkeypatch.setattr(service, "POLL_SECONDS", 3600.0)
        monkeypatch.setattr(stores[1]._threads, "watch", watching, raising=False)
        async with working(stores[1], chats[1], ["Here."]) as free:
            await watched.wait()
            free._wake.clear()
            await asyncio.sleep(0.5)
            await full.accept(message("b", ONE))
            await chats[1].ended()
        await full.stop(ThreadId("test:full"))
        await chats[0].ended()
    assert [turn.outcome.text for turn in chats[1].delivered] == ["Here."]


async def test_without_a_change_stream_the_worker_looks_again(
    stores: list[MongoStore], chats: list[Chat], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipeline that the server refuses stands for one that has no change streams."""
    monkeypatch.setattr("codeact_bot.store.queries.ARRIVALS", ({"$out": "nowhere"},))
    async with working(stores[1], chats[1], ["Here."]):
        async with asyncio.timeout(20):
            while "are noticed every 0.5 s for now" not in caplog.text:
                await asyncio.sleep(0.05)
        await stores[0].push(message("b", ONE))
        await chats[1].ended()
    assert [turn.outcome.text for turn in chats[1].delivered] == ["Here."]


async def test_where_there_is_no_change_stream_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """And again once there was one meanwhile, or where another thing is wrong."""
    store, over = Streamless(["none", "none", "", "none", "away", "away"]), asyncio.Event()
    with pytest.raises(NoneLeft):
        await hear(store, over, 0.0)
    assert [record.args[1] for record in caplog.records] == ["none", "none", "away"]
    assert over.is_set()


async def test_a_turn_that_is_taken_over_goes_on_in_the_same_post(stores: list[MongoStore], chats: list[Chat]) -> None:
    dead, taker = stores
    await dead.push(message("a"))
    lease = await dead.claim("dead", 0.5, ("test:",))
    assert lease is not None
    turn = await dead.open_turn(lease)
    await dead.save_reply(lease, turn.id, "post-7")
    async with working(taker, chats[1], ["Mine now."]):
        await chats[1].ended()
    (post,) = chats[1].posts
    assert (post.turn.id, post.turn.reply, post.turn.resumed) == (turn.id, "post-7", True)
    assert [each.reply for each in await dead.turns(ONE)] == ["post-7"]


async def test_workers_that_leave_one_after_the_other_are_not_taken_for_a_model_in_circles(stores: list[MongoStore]) -> None:
    """Five times the worker of a turn is away before the step under way has ended; the person reads what that was, and what to do."""
    for number in range(Limits().consecutive_errors):
        chat, model = Chat(), ScriptedModel([code(f"import time\ntime.sleep(60)  # {number}")])
        async with working(stores[number % 2], chat, model) as worker:
            if not number:
                await worker.accept(message("a"))
            await chat.until(lambda chat=chat: CodeStarted in chat.kinds("a"))
        assert NUDGE not in [each.content for each in model.asked[0]]
    last = Chat()
    async with working(stores[1], last, []):
        await last.ended()
    (turn,) = await stores[0].turns(ONE)
    assert [step.execution.status for step in turn.steps] == [Status.LOST] * 5
    assert turn.outcome.ending is Ending.LIMIT
    assert turn.outcome.text == (
        "5 times in a row the step was lost with its sandbox or worker, so I stopped. Variables and files are as they were last saved: ask me to go on. "
        "If it happens again, ask for less at once, or have whoever runs the bot look at its log."
    )
