"""A worker that writes turns until it is killed; started by test_crash.py as a program of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace

from codeact_bot.errors import LeaseLost
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Answer, File, Lease, Part, Snapshot
from tests.store.make import ANSWERED, ANY, ONE, TWO, message, ran, step

LEASE_SECONDS = 0.3


async def work(url: str, database: str, messages: int) -> None:
    """Send messages of our own, then answer whatever waits until nothing does."""
    store = await MongoStore.open(url, database)
    print("ready", flush=True)  # noqa: T201
    for number in range(messages):
        sent = message(f"{os.getpid()}-{number}", (ONE, TWO)[number % 2], files=(File.of("in.bin", os.urandom(300_000)),))
        await store.push(sent)
        print("accepted", sent.id, flush=True)  # noqa: T201
    while await store.pending(ONE) or await store.pending(TWO):
        lease = await store.claim(f"worker-{os.getpid()}", LEASE_SECONDS, ANY)
        if lease is None:
            await asyncio.sleep(0.02)
            continue
        try:
            await answer(store, lease)
        except LeaseLost:
            continue
    await store.aclose()


async def answer(store: MongoStore, lease: Lease) -> None:
    """Write a turn of three steps with files and snapshots; first, as the loop does, close what a killed worker left open."""
    turn = await store.open_turn(lease)
    for each in turn.steps:
        if each.execution is None:
            await store.save_step(lease, turn.id, step(each.index, execution=ran()))
    for index in range(len(turn.steps), 2):
        await store.save_step(lease, turn.id, step(index))
        await store.save_step(lease, turn.id, step(index, execution=replace(ran(), files=(File.of("out.bin", os.urandom(300_000)),))))
        await store.save_snapshot(lease, Snapshot(parts=(Part.of(os.urandom(300_000)),), names=("x",), dropped=()))
    await store.save_step(lease, turn.id, replace(step(2), action=Answer(text="4")))
    await store.end_turn(lease, turn.id, ANSWERED)
    await store.release(lease)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
