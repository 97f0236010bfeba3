"""Edits of all answers together keep the workspace's limit, and give way to answers."""

from __future__ import annotations

import asyncio

from adapters.slack.budget import Budget


async def test_a_burst_is_free_and_then_there_is_a_wait() -> None:
    budget, hurry = Budget(per_minute=600, burst=3), asyncio.Event()
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in range(3):
        await budget.take(hurry)
    free = clock() - began
    await budget.take(hurry)
    await budget.take(hurry)
    assert clock() - began >= free + 0.15


async def test_hurry_ends_the_wait_and_gives_the_token_back() -> None:
    budget, hurry = Budget(per_minute=1, burst=1), asyncio.Event()
    await budget.take(hurry)
    waiting = asyncio.create_task(budget.take(hurry))
    await asyncio.sleep(0.01)
    hurry.set()
    await asyncio.wait_for(waiting, 10)
    assert -0.5 < budget._left < 0.5


async def test_answers_do_not_wait_but_count() -> None:
    budget, hurry = Budget(per_minute=600, burst=2), asyncio.Event()
    for _ in range(3):
        budget.spend()
    clock = asyncio.get_running_loop().time
    began = clock()
    await budget.take(hurry)
    assert clock() - began >= 0.1
