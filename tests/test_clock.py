"""What is done by the clock."""

import asyncio

from codeact_bot.clock import Clock
from codeact_bot.errors import StoreUnavailable


async def test_work_is_done_again_and_again_and_a_failure_does_not_end_it(caplog):
    done = []

    async def work():
        done.append(1)
        if len(done) < 3:
            raise StoreUnavailable("away") if len(done) == 1 else ValueError("wrong")

    clock = Clock()
    clock.every(0.05, work, "work")
    async with clock, asyncio.timeout(10):
        while len(done) < 4:
            await asyncio.sleep(0.01)
    count = len(done)
    await asyncio.sleep(0.2)
    assert len(done) == count, "it goes on after the end"
    assert [record.message for record in caplog.records if record.name == "codeact_bot.clock"] == ["away", "Upkeep failed"]


async def test_slow_work_is_not_done_twice_at_once_and_ends_with_the_clock(caplog):
    running, most, ended = 0, 0, 0

    async def work():
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(30)
        finally:
            running -= 1
            ended += 1

    clock = Clock()
    clock.every(0.05, work, "slow")
    async with clock:
        await asyncio.sleep(0.4)
    await asyncio.sleep(0.05)
    assert (most, running, ended) == (1, 0, 1)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
