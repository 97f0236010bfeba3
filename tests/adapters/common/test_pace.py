"""The last state wins, never two writes at once, and the final one arrives."""

import asyncio

import pytest

from adapters.common import pace
from adapters.common.pace import Pace, PlatformDown, TryLater


class Platform:
    """Keeps what is written; fails as told."""

    def __init__(self):
        self.state = 0
        self.written = []
        self.faults = []
        self.busy = False
        self.slow = 0.0

    async def write(self):
        assert not self.busy, "two writes at once"
        self.busy = True
        try:
            state = self.state
            await asyncio.sleep(self.slow)
            if self.faults:
                raise self.faults.pop(0)
            self.written.append(state)
        finally:
            self.busy = False


@pytest.fixture
def platform():
    return Platform()


async def test_many_changes_make_few_writes_and_the_last_wins(platform):
    paced, clock = Pace(platform.write, 0.05), asyncio.get_running_loop().time
    began = clock()
    for platform.state in range(1, 101):
        paced.nudge()
        await asyncio.sleep(0.002)
    await paced.finish()
    assert platform.written[-1] == 100
    assert len(platform.written) <= (clock() - began) / 0.05 + 2


async def test_the_first_change_is_shown_at_once(platform):
    paced = Pace(platform.write, 3600)
    platform.state = 1
    paced.nudge()
    await asyncio.sleep(0.01)
    assert platform.written == [1]
    await paced.aclose()


@pytest.mark.parametrize("fault", [TryLater(0.01), PlatformDown("It is down.")])
async def test_after_a_fault_the_newest_state_is_shown(platform, fault, monkeypatch):
    monkeypatch.setattr(pace, "FIRST_WAIT", 0.01)
    platform.faults = [fault] * 3
    paced = Pace(platform.write, 0.01)
    paced.nudge()
    platform.state = 7
    await asyncio.sleep(0.5)
    assert platform.written == [7]
    await paced.aclose()


async def test_the_final_state_arrives_after_an_outage(platform, monkeypatch):
    monkeypatch.setattr(pace, "FIRST_WAIT", 0.001)
    platform.faults = [PlatformDown("down"), TryLater(0.001)] * 4
    platform.state = 9
    await Pace(platform.write, 3600).finish()
    assert platform.written == [9]


async def test_finishing_waits_for_a_write_under_way_and_cuts_the_pause_short(platform):
    platform.slow = 0.05
    paced = Pace(platform.write, 3600)
    paced.nudge()
    await asyncio.sleep(0.01)
    platform.state = 5
    await paced.finish()
    assert platform.written == [0, 5]
    paced.nudge()
    await asyncio.sleep(0.02)
    assert platform.written == [0, 5]


async def test_no_task_stays_when_there_is_nothing_to_write(platform):
    paced = Pace(platform.write, 0.01)
    paced.nudge()
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) == 1


async def test_progress_gives_up_for_a_while_but_not_for_good(platform, monkeypatch):
    monkeypatch.setattr(pace, "ATTEMPTS", 2)
    platform.faults = [TryLater(0.001)] * 2
    paced = Pace(platform.write, 0.001)
    paced.nudge()
    await asyncio.sleep(0.1)
    assert platform.written == []
    assert len(asyncio.all_tasks()) == 1
    paced.nudge()
    await asyncio.sleep(0.05)
    assert platform.written == [0]


async def test_a_fault_of_ours_is_logged_and_the_final_state_still_tried(platform, caplog):
    platform.faults = [ValueError("ours")]
    paced = Pace(platform.write, 0.001)
    paced.nudge()
    await asyncio.sleep(0.02)
    assert "Showing an answer's progress failed" in caplog.text
    await paced.finish()
    assert platform.written == [0]
