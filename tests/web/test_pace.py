"""How often somebody may ask: the budgets by themselves, and over HTTP."""

from __future__ import annotations

import pytest

from adapters.web.pace import KNOWN, Pace
from codeact_bot.types import Rates
from tests.web.staff import csrf, served


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_is_used_up_and_fills_again() -> None:
    clock = Clock()
    pace = Pace(60, clock)
    assert [pace.take("ann") for _ in range(60)] == [0.0] * 60
    assert pace.take("ann") == 1.0
    assert pace.take("bob") == 0.0
    clock.now += 0.5
    assert pace.take("ann") == 0.5
    clock.now += 0.5
    assert pace.take("ann") == 0.0
    clock.now += 3600
    assert [pace.take("ann", 10) for _ in range(6)] == [0.0] * 6
    assert pace.take("ann", 10) == 10.0


def test_what_costs_more_than_all_is_possible_after_a_rest() -> None:
    clock = Clock()
    pace = Pace(5, clock)
    assert pace.take("ann", 10) == 0.0
    assert pace.take("ann", 10) > 0
    clock.now += 3600
    assert pace.take("ann", 10) == 0.0


def test_strangers_cannot_fill_the_memory() -> None:
    pace = Pace(60, Clock())
    for number in range(KNOWN + 50):
        pace.take(f"10.0.0.{number}")
    assert len(pace._left) == KNOWN


@pytest.mark.parametrize("rates", [Rates(viewer=1e6, address=25), Rates(viewer=25, address=1e6)])
async def test_who_asks_too_often_is_told_when_to_come_again(rates: Rates) -> None:
    async with served(rates=rates) as place, place.client(follow_redirects=False) as client:
        await client.get(place.links[0])
        page = await client.get("/")
        headers = {"x-csrf-token": csrf(page.text)}
        said = [await client.post("/new", data={"text": "x", "key": str(number)}, headers=headers) for number in range(3)]
        assert [each.status_code for each in said] == [200, 200, 429]
        assert 1 <= int(said[-1].headers["retry-after"]) <= 60
        assert "Try again in" in said[-1].text
        assert len(place.core.accepted) == 2
