"""What every Store tells of what waits and runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from codeact_bot.ports import Store
from codeact_bot.types import Backlog
from tests.store.make import ANSWERED, ANY, ONE, TWO, begun, claimed, message

PAUSE = 0.05
ROUNDED = 0.01
"""Seconds by which times in milliseconds may be off."""


async def test_nothing_waits_in_an_empty_store(store: Store) -> None:
    assert await store.backlog(ANY) == Backlog()
    assert await store.backlog(()) == Backlog()


async def test_messages_wait_until_their_turns_begin(store: Store) -> None:
    await store.push(message("a"))
    await store.push(message("b"))
    await asyncio.sleep(PAUSE)
    await store.push(message("c", thread=TWO))
    found = await store.backlog(ANY)
    assert (found.waiting, found.running, found.owed) == (3, 0, 0)
    assert found.waiting_seconds >= PAUSE
    assert found.running_seconds == 0
    assert (await claimed(store)).incoming.id == "a"
    found = await store.backlog(ANY)
    assert (found.waiting, found.running) == (2, 1)


async def test_the_oldest_is_the_first_that_nobody_answers(store: Store) -> None:
    await store.push(message("a"))
    await asyncio.sleep(PAUSE)
    began = time.perf_counter()
    await store.push(message("b"))
    await claimed(store)
    found = await store.backlog(ANY)
    assert found.waiting_seconds <= time.perf_counter() - began + ROUNDED


async def test_a_lease_grows_older_though_it_is_renewed_and_begins_anew_with_the_next(store: Store) -> None:
    lease, turn = await begun(store)
    await asyncio.sleep(PAUSE)
    await store.renew(lease, 60)
    found = await store.backlog(ANY)
    assert found.running == 1
    assert found.running_seconds >= PAUSE
    await store.renew(lease, 0.001)
    await asyncio.sleep(PAUSE)
    found = await store.backlog(ANY)
    assert (found.waiting, found.running, found.running_seconds) == (1, 0, 0), "its worker is dead"
    began = time.perf_counter()
    await claimed(store, "worker-2")
    found = await store.backlog(ANY)
    assert found.running_seconds <= time.perf_counter() - began + ROUNDED


async def test_answers_are_owed_until_they_have_arrived(store: Store) -> None:
    lease, turn = await begun(store)
    await store.end_turn(lease, turn.id, ANSWERED)
    assert (await store.backlog(ANY)).owed == 1
    await store.release(lease)
    await store.delivered(turn.id)
    assert await store.backlog(ANY) == Backlog()


@pytest.mark.parametrize(("prefixes", "waiting", "owed"), [(("slack:",), 1, 0), (("discord:",), 0, 1), (("web:",), 0, 0), (("slack:", "discord:"), 1, 1)])
async def test_only_what_is_served_is_counted(store: Store, prefixes: tuple[str, ...], waiting: int, owed: int) -> None:
    lease, turn = await begun(store, message("b", thread=TWO))
    await store.end_turn(lease, turn.id, ANSWERED)
    await store.release(lease)
    await store.push(message("a", thread=ONE))
    found = await store.backlog(prefixes)
    assert (found.waiting, found.owed) == (waiting, owed)
