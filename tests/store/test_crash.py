"""A worker that is killed at any moment leaves a whole history behind."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from codeact_bot.store import records
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Query, Turn
from tests.store.make import ONE, TWO

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(600)]

KILLS = 30
SEED = 20261124


async def test_thirty_kills_leave_no_half_written_history(
    mongo_url: str, database: str, open_mongo: Callable[[], Awaitable[MongoStore]]
) -> None:
    chance = random.Random(SEED)
    accepted: list[str] = []
    async with aclosing(await open_mongo()) as store:
        for _ in range(KILLS):
            accepted += await _killed_after(chance.uniform(0.0, 0.15), mongo_url, database)
            await _check(store, accepted)
        await _killed_after(None, mongo_url, database)
        await _check(store, accepted)
        answered = Counter(turn.incoming.id for turn in [*await store.turns(ONE), *await store.turns(TWO)])
        assert set(accepted) <= set(answered)
        assert set(answered.values()) == {1}
        assert not [*await store.pending(ONE), *await store.pending(TWO)]


async def _killed_after(seconds: float | None, url: str, database: str) -> list[str]:
    """Run a worker, kill it that long after it is ready (None: let it finish) and return the messages it was told are kept."""
    command = [sys.executable, "-m", "tests.store.writer", url, database, "0" if seconds is None else "2"]
    worker = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"ready\n"
    if seconds is not None:
        await asyncio.sleep(seconds)
        if worker.returncode is None:
            worker.kill()
    said, _ = await worker.communicate()
    return [line.split()[1] for line in said.decode().splitlines() if line.startswith("accepted") and len(line.split()) == 2]


async def _settle(store: MongoStore) -> None:
    """Wait until the server has finished what the dead worker sent last."""
    before = None
    while before != (before := [await store.find(Query(limit=records.FOUND)), await store.pending(ONE), await store.pending(TWO)]):
        await asyncio.sleep(0.05)


async def _check(store: MongoStore, accepted: list[str]) -> None:
    await _settle(store)
    for thread in (ONE, TWO):
        waiting = [message.id for message in await store.pending(thread)]
        turns = await store.find(Query(thread=thread, limit=records.FOUND))
        ended = [turn for turn in turns if turn.outcome is not None]
        assert [turn.incoming.id for turn in turns if turn.outcome is None] in ([], waiting[:1])
        assert not {turn.incoming.id for turn in ended} & set(waiting)
        assert ended == list(reversed(await store.turns(thread)))
        assert not ended or len(ended) == (await store.thread(thread)).turns
        for turn in turns:
            await _check_turn(store, turn)
        await store.load_snapshot(thread)
    kept = [turn.incoming.id for turn in await store.find(Query(limit=records.FOUND))]
    kept += [message.id for thread in (ONE, TWO) for message in await store.pending(thread)]
    assert set(accepted) <= set(kept)


async def _check_turn(store: MongoStore, turn: Turn) -> None:
    assert [step.index for step in turn.steps] == list(range(len(turn.steps)))
    open_steps = [step for step in turn.steps if records.is_open(step)]
    assert len(open_steps) <= (turn.outcome is None)
    if turn.outcome is not None:
        assert len(turn.steps) == 3
        assert turn.ended is not None
    for step in turn.steps:
        for file in step.execution.files if step.execution else ():
            assert len(await store.load_file(file.digest)) == file.size
