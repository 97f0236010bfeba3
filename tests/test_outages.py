"""What happens when MongoDB goes away in the middle of something: real servers that are killed, stopped, started again, or step down."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codeact_bot import keeper, service
from codeact_bot.errors import StoreUnavailable
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.patience import NO_STORE
from codeact_bot.store import mongo
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import CodeStarted, Ending, Notice, Status, StepDone, ThreadId
from tests import parts, replica_set
from tests.replica_set import ReplicaSet
from tests.test_service import ONE, Chat, code, message, working

pytestmark = pytest.mark.needs("mongo")

ONCE = "open('log', 'a').write('{}')\n"
SLOWLY = "import time\nfor _ in range(10): time.sleep(0.1)\n"
LOOK = code("print(open('log').read(), kept)")


@pytest.fixture
def size() -> int:
    """How many servers the replica set has."""
    return 1


@pytest.fixture
async def servers(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ReplicaSet]:
    if parts.mongod() is None:
        pytest.skip("needs a mongod of its own to stop, and there is none on PATH nor in the extra `embedded`")
    monkeypatch.setitem(mongo.TIMES, "serverSelectionTimeoutMS", 300)
    running = replica_set.own(tmp_path, size)
    yield await asyncio.to_thread(running.__enter__)
    await asyncio.to_thread(running.__exit__, None, None, None)


@pytest.fixture
async def store(servers: ReplicaSet) -> AsyncIterator[MongoStore]:
    opened = await MongoStore.open(servers.url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def chat() -> Chat:
    return Chat()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_database_that_goes_away_in_a_turn_is_waited_for(servers: ReplicaSet, store: MongoStore, chat: Chat, number: int) -> None:
    replies = [code(ONCE.format("a") + "kept = 41"), code(ONCE.format("b") + SLOWLY), LOOK, "Done."]
    async with working(store, chat, replies) as worker:
        await worker.accept(message("a"))
        await chat.until(lambda: chat.kinds("a").count(CodeStarted) == 2)
        await asyncio.to_thread(servers.stop, number)
        await chat.until(lambda: Notice in chat.kinds("a"))
        assert not chat.delivered
        await asyncio.to_thread(servers.start)
        await chat.ended()
    (turn,) = await store.turns(ONE)
    assert [step.execution.status for step in turn.steps if step.execution] == [Status.OK] * 3
    assert turn.steps[2].execution is not None
    assert turn.steps[2].execution.output == "ab 41\n"
    assert [event.text for event in chat.posts[0].of(Notice)] == [NO_STORE], "the person is told once"
    assert len(chat.delivered) == len(chat.posts) == 1


async def test_a_database_away_for_longer_than_the_lease_costs_the_step_under_way(
    servers: ReplicaSet, store: MongoStore, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEASE_SECONDS", 1.5)
    replies = [code(ONCE.format("a") + "kept = 41"), code(ONCE.format("b") + SLOWLY * 6), LOOK, "Done."]
    async with working(store, chat, replies) as worker:
        await worker.accept(message("a"))
        await chat.until(lambda: chat.kinds("a").count(CodeStarted) == 2)
        async with asyncio.timeout(20):
            while not (kept := await store.load_snapshot(ONE)) or kept.behind:
                await asyncio.sleep(0.02)
        await asyncio.to_thread(servers.stop)
        async with asyncio.timeout(30):
            while worker._turns:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(servers.start)
        await chat.ended()
    (turn,) = await store.turns(ONE)
    assert [step.execution.status for step in turn.steps if step.execution] == [Status.OK, Status.LOST, Status.OK]
    assert turn.steps[2].execution is not None
    assert turn.steps[2].execution.output == "a 41\n", "what it did went with its sandbox"
    assert len(chat.delivered) == 1


async def test_a_message_that_comes_while_the_database_is_away_is_not_taken(servers: ReplicaSet, store: MongoStore, chat: Chat) -> None:
    async with working(store, chat, ["One."]) as worker:
        await asyncio.to_thread(servers.stop)
        with pytest.raises(StoreUnavailable, match="Is it running"):
            await worker.accept(message("a"))
        await asyncio.to_thread(servers.start)
        assert await worker.accept(message("a")) is True
        assert await worker.accept(message("a")) is False
        await chat.ended()
    assert len(await store.turns(ONE)) == 1


async def test_a_database_that_was_away_meanwhile_is_noticed_by_no_one(servers: ReplicaSet, store: MongoStore, chat: Chat) -> None:
    async with working(store, chat, [code("x = 41"), "One.", code("print(x + 1)"), "Two."]) as worker:
        await worker.accept(message("a"))
        await chat.ended()
        await asyncio.to_thread(servers.stop, signal.SIGKILL)
        await asyncio.sleep(1)
        await asyncio.to_thread(servers.start)
        await worker.accept(message("b"))
        await chat.ended(2)
    assert [step.execution.output for step in (await store.turns(ONE))[1].steps if step.execution] == ["42\n"]
    assert Notice not in chat.kinds("a") + chat.kinds("b")


async def test_a_state_whose_saving_is_cut_off_is_saved_when_the_database_is_back(
    servers: ReplicaSet, store: MongoStore, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "AGAIN", 0.2)
    cut = asyncio.Event()
    save = store._snapshots.save

    async def cutting(digest: str, data: bytes) -> None:
        if not cut.is_set():
            await asyncio.to_thread(servers.stop, signal.SIGKILL)
            cut.set()
        await save(digest, data)

    monkeypatch.setattr(store._snapshots, "save", cutting)
    async with working(store, chat, [code("x = 41"), "One."]) as worker:
        await worker.accept(message("a"))
        await cut.wait()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(servers.start)
        await chat.ended()
        async with asyncio.timeout(20):
            while worker._turns:
                await asyncio.sleep(0.05)
    second = Chat()
    async with working(store, second, [code("print(x + 1)"), "Two."]) as worker:
        await worker.accept(message("b"))
        await second.ended()
    (step,) = [step.execution for step in (await store.turns(ONE))[1].steps if step.execution]
    assert (step.output, step.notes) == ("42\n", ())


async def test_a_worker_can_end_while_the_database_is_away(
    servers: ReplicaSet, store: MongoStore, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEASE_SECONDS", 1.5)
    async with working(store, chat, [code("x = 1"), "One."]) as worker:
        end_turn = store.end_turn

        async def late(*given: object) -> object:
            await asyncio.to_thread(servers.stop)
            return await end_turn(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "end_turn", late)
        await worker.accept(message("a"))
        await chat.until(lambda: Notice in chat.kinds("a"))
        worker.leave()
    assert not chat.delivered
    monkeypatch.setattr(store, "end_turn", end_turn)
    await asyncio.to_thread(servers.start)
    second = Chat()
    async with working(store, second, []):
        await second.ended()
    assert [turn.outcome.text for turn in await store.turns(ONE) if turn.outcome] == ["One."]


async def test_an_end_that_the_database_could_not_confirm_is_found(servers: ReplicaSet, store: MongoStore, chat: Chat) -> None:
    """The write is done, and the server says that it does not know whether it will last."""
    async with working(store, chat, [code("x = 1"), "One.", "Two."]) as worker:
        await worker.accept(message("a"))
        await chat.until(lambda: StepDone in chat.kinds("a"))
        end_turn = store.end_turn

        async def unconfirmed(*given: Any) -> Any:
            store.end_turn = end_turn  # type: ignore[method-assign]
            fault = {"failCommands": ["findAndModify"], "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
            await asyncio.to_thread(servers.servers[0].ask, "configureFailPoint", "failCommand", mode={"times": 1}, data=fault)
            return await end_turn(*given)

        store.end_turn = unconfirmed  # type: ignore[method-assign]
        await chat.ended()
        await worker.accept(message("b"))
        await chat.ended(2)
    assert [turn.outcome.text for turn in chat.delivered] == ["One.", "Two."]
    assert len(chat.posts) == 2, "it was not left to another delivery"
    assert (await store._threads.find_one({"_id": ONE}))["lease"]["token"] == 2


@pytest.mark.parametrize("size", [1, 3])
async def test_a_primary_that_steps_down_loses_and_doubles_nothing(servers: ReplicaSet, store: MongoStore, chat: Chat) -> None:
    threads, rounds = [ThreadId(f"test:{number}") for number in range(4)], 3
    model = ScriptedModel([lambda messages: next_of(messages[-1].content)] * 200)
    async with working(store, chat, model) as worker:

        async def ask(thread: ThreadId) -> None:
            for number in range(rounds):
                incoming = message(f"{thread}/{number}", thread, "Count.")
                while True:
                    try:
                        await worker.accept(incoming)
                        break
                    except StoreUnavailable:
                        await asyncio.sleep(0.2)
                await asyncio.sleep(0.3)

        async with asyncio.TaskGroup() as group:
            for thread in threads:
                group.create_task(ask(thread))
            for _ in range(2):
                await asyncio.sleep(0.5)
                await asyncio.to_thread(servers.step_down)
            if len(servers.servers) > 1:
                await asyncio.to_thread(lambda: servers.primary().end(signal.SIGKILL))
        await chat.ended(len(threads) * rounds)
    for thread in threads:
        turns = await store.turns(thread)
        assert [turn.incoming.id for turn in turns] == [f"{thread}/{number}" for number in range(rounds)]
        assert [turn.outcome.ending for turn in turns if turn.outcome] == [Ending.ANSWERED] * rounds
        outputs = [step.execution.output for turn in turns for step in turn.steps if step.execution]
        assert outputs == [f"count {number + 1}\n" for number in range(rounds)], "a step was lost or run twice"
        lease = (await store._threads.find_one({"_id": thread}))["lease"]
        assert lease["token"] >= rounds, "a claim that could not be confirmed is followed by another"
        assert await store.pending(thread) == []
    assert len(chat.delivered) == len({turn.id for turn in chat.delivered}) == len(threads) * rounds


def next_of(last: str) -> str:
    """Count once, then answer."""
    return "Counted." if "count " in last else code("count = globals().get('count', 0) + 1\nprint('count', count)")
