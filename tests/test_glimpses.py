"""What a worker lets other processes see of a turn: steps that last, and nothing of those that do not."""

from __future__ import annotations

import asyncio

import pytest

from codeact_bot import glimpses
from codeact_bot.errors import StoreUnavailable
from codeact_bot.store.memory import MemoryStore
from codeact_bot.types import CodeStarted, Event, Glimpse, Lease, Notice, Output, StepDone, Thought, ThoughtDropped
from tests.store.make import ONE, begun, ran, step


class Counting(MemoryStore):
    """Counts what is written, and fails as often as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Glimpse] = []
        self.failing = 0
        self.mistaken = False

    async def save_glimpse(self, lease: Lease, turn_id: str, glimpse: Glimpse) -> bool:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("The database does not answer.")
        if self.mistaken:
            raise KeyError("a mistake")
        self.written.append(glimpse)
        return await super().save_glimpse(lease, turn_id, glimpse)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glimpses, "EVERY", 0.02)


async def until(store: Counting, count: int) -> None:
    async with asyncio.timeout(30):
        while len(store.written) < count:
            await asyncio.sleep(0.005)


async def test_of_short_steps_nothing_is_written_and_everything_is_shown() -> None:
    store, shown = Counting(), list[Event]()
    lease, turn = await begun(store)

    async def show(event: Event) -> None:
        shown.append(event)

    async with glimpses.seen(store, lease, turn, show) as seen:
        for index in range(200):
            for event in (Thought(text="Let me see."), CodeStarted(index=index, code="1"), Output(text="1\n"), StepDone(step=step(index, execution=ran()))):
                await seen(event)
            if index % 10 == 0:
                await asyncio.sleep(0.021)
    assert len(shown) == 800
    assert store.written == []


async def test_a_step_that_lasts_is_written_when_there_is_news_and_bounded() -> None:
    store = Counting()
    lease, turn = await begun(store)

    async def show(event: Event) -> None:
        pass

    async with glimpses.seen(store, lease, turn, show) as seen:
        store.failing = 1
        await seen(Thought(text="Let me "))
        await until(store, 1)
        assert store.written[-1] == Glimpse(step=0, running=False, thought="Let me ")
        await asyncio.sleep(0.2)
        assert len(store.written) == 1, "nothing new happened"
        await seen(ThoughtDropped())
        await seen(Thought(text="I see."))
        await until(store, 2)
        await store.save_step(lease, turn.id, step())
        await seen(CodeStarted(index=0, code="mean(x)"))
        await seen(Output(text="x" * 10_000))
        await seen(Output(text="the end"))
        await seen(Notice(text="y" * 10_000))
        await until(store, 3)
        last = await store.glimpse(ONE, turn.id)
        assert last is not None
        assert (last.running, last.output[-7:], last.cut) == (True, "the end", 10_007 - glimpses.TAIL)
        assert max(map(len, (last.output, last.thought, *last.notices))) <= glimpses.TAIL
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("glimpses")] == []


async def test_a_fault_of_ours_ends_what_others_see_and_not_the_turn(caplog: pytest.LogCaptureFixture) -> None:
    store, shown = Counting(), list[Event]()
    lease, turn = await begun(store)
    store.mistaken = True

    async def show(event: Event) -> None:
        shown.append(event)

    async with glimpses.seen(store, lease, turn, show) as seen:
        await seen(Thought(text="Let me see."))
        async with asyncio.timeout(30):
            while "a mistake" not in caplog.text:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        await seen(Thought(text="I see."))
    assert caplog.text.count("Traceback") == 1, "a mistake is made once, and not twice a second"
    assert len(shown) == 2
    assert f"Others do not see what turn {turn.id} does" in caplog.text
