"""Plots of totals: round axes, every day, figures for all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.web.charts import HEIGHT, NOTHING, WIDTH, charts, together
from adapters.web.labels import narrowed
from codeact_bot.types import By, ErrorCount, Total


def total(name: str, runs: int, **chosen: object) -> Total:
    return replace(NOTHING, name=name, runs=runs, answered=runs, **chosen)  # type: ignore[arg-type]


def test_days_on_which_nothing_ran_are_there_and_say_so() -> None:
    made = charts([total("2026-10-30", 3), total("2026-11-02", 5)], By.DAY)
    assert [(bar.name, bar.value) for bar in made[0].bars] == [("30 Oct", "3"), ("31 Oct", "no runs"), ("1 Nov", "no runs"), ("2 Nov", "5")]
    assert made[0].bars[1].height == 0
    assert made[0].figure == "8"
    assert "from 2026-10-30 to 2026-11-02; 5 at most" in made[0].about


@pytest.mark.parametrize(
    ("runs", "axis"), [(1, ["1", "2"]), (3, ["2", "4"]), (25, ["15", "30"]), (100, ["50", "100"]), (1_200, ["1k", "2k"]), (2_600_000, ["1.5M", "3M"])]
)
def test_an_axis_ends_at_a_round_number_and_names_its_half(runs: int, axis: list[str]) -> None:
    made = charts([total("2026-11-24", runs)], By.DAY)[0]
    assert [level.text for level in made.levels] == axis
    assert [level.at for level in made.levels] == [HEIGHT / 2, 0]
    assert 0 <= made.bars[0].y <= HEIGHT / 2
    assert made.bars[0].y + made.bars[0].height == pytest.approx(HEIGHT)


def test_shares_end_at_all_of_it_and_dates_stay_within() -> None:
    days = [total(f"2026-11-{day:02}", 2, cost=0.3 * day) for day in range(1, 31)]
    made = {chart.title: chart for chart in charts(days, By.DAY)}
    assert [level.text for level in made["Answered"].levels] == ["50%", "100%"]
    assert [date.text for date in made["Cost"].dates] == ["1 Nov", "16 Nov", "30 Nov"]
    assert made["Cost"].dates[-1].at <= WIDTH
    assert made["Cost"].figure == "$139.50"
    assert [level.text for level in made["Cost"].levels] == ["$5", "$10"]


def test_names_stand_beside_their_bars() -> None:
    found = [total("Ada (U1)", 9, errors=(ErrorCount(type="KeyError", runs=2),)), total("", 1)]
    made = charts(found, By.PERSON)
    assert [(bar.name, bar.value, bar.width) for bar in made[0].bars] == [("Ada (U1)", "9", WIDTH), ("–", "1", round(WIDTH / 9, 2))]
    assert made[-1].about == "Runs with an error, by type: KeyError 2."
    assert charts([], By.DAY) == []
    assert together(found).runs == 10


def test_errors_are_drawn_by_type_over_time() -> None:
    def errors(**runs: int) -> tuple[ErrorCount, ...]:
        return tuple(ErrorCount(type=name, runs=count) for name, count in runs.items())

    days = [total("2026-11-01", 9, errors=errors(KeyError=2, ValueError=1)), total("2026-11-03", 9, errors=errors(KeyError=3, A=1, B=1, C=1))]
    made = {chart.title: chart for chart in charts(days, By.DAY)}
    assert [bar.value for bar in made["Runs with KeyError"].bars] == ["2", "no runs", "3"]
    assert (made["Runs with KeyError"].figure, made["Runs with ValueError"].figure) == ("5", "1")
    assert "at most" in made["Runs with KeyError"].about
    assert len([title for title in made if title.startswith("Runs with ") and "type" not in title]) == 4
    by_type = charts([total("KeyError", 5, errors=errors(KeyError=5, ValueError=1)), total("ValueError", 1)], By.ERROR)
    assert by_type[0].figure == "", "a run counts for each of its types, so that they do not add up"
    assert "Runs with an error, by type" not in [chart.title for chart in by_type]


def test_lines_of_totals_lead_to_their_runs() -> None:
    assert narrowed({"q": "x"}, By.PERSON, "Ada (of all) (U1)") == "/audit?q=x&person=U1"
    assert narrowed({"since": "2026-01-01"}, By.DAY, "2026-11-24") == "/audit?since=2026-11-24&until=2026-11-24"
    assert narrowed({}, By.CHANNEL, "slack:T1:C1") == "/audit?channel=slack%3AT1%3AC1"
    assert narrowed({}, By.ERROR, "KeyError") == "/audit?error=KeyError"
    assert narrowed({}, By.MODEL, "") == ""
