"""Plots of totals, as numbers that a template draws: nothing but rectangles and text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta

from adapters.render import cost_text, one_line, seconds_text
from codeact_bot.types import By, Total

WIDTH, HEIGHT = 264.0, 84.0
"""Size of a plot's drawing area."""
GUTTER, FOOT = 34.0, 16.0
"""Room for the numbers beside it and for the dates below it."""
BARS = 10
"""Bars of a plot whose names stand beside them."""
TYPES = 4
"""Types of errors that are drawn over time, the most frequent ones."""
DAYS = 366
"""Days that a plot shows, the last ones."""
LINE = 22.0
"""Height of such a bar with its name."""
NOTHING = Total(name="", runs=0, answered=0, limit=0, stopped=0, failed=0, missed=0, approval=0, steps=0, repairs=0, seconds=0.0, tokens=0, cost=0.0)
SUMMED = [field.name for field in fields(Total) if field.name not in ("name", "errors")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle."""

    name: str
    value: str
    """The value, written out."""
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A place on an axis."""

    text: str
    at: float
    anchor: str = "middle"
    """Which end of the text is there: `start`, `middle` or `end`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A plot."""

    title: str
    about: str
    """The same in a sentence."""
    bars: tuple[Bar, ...]
    figure: str = ""
    """What everything together comes to."""
    levels: tuple[Tick, ...] = ()
    """The axis of values; empty where each bar has its name and its value beside it."""
    dates: tuple[Tick, ...] = ()
    """The axis of days."""
    height: float = HEIGHT + FOOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that is drawn."""

    title: str
    number: Callable[[Total], float]
    text: Callable[[float], str]
    """Writes a value out."""
    short: Callable[[float], str]
    """Writes a value beside the axis."""
    top: float = 0.0
    """Where the axis ends; 0 where the largest value says so."""


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _dollars(value: float) -> str:
    return cost_text(value) if value else "$0"


def _short(value: float) -> str:
    """`0.5`, `20`, `150k`, `2.5M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


MEASURES: Sequence[Measure] = (
    Measure(title="Runs", number=lambda total: total.runs, text=_whole, short=_short),
    Measure(title="Answered", number=lambda total: total.success, text=_share, short=_share, top=1.0),
    Measure(title="Failed steps until success", number=lambda total: total.repairs_until_success, text=lambda value: f"{value:.2f}", short=_short),
    Measure(title="Seconds of a run", number=lambda total: total.seconds / max(total.runs, 1), text=seconds_text, short=seconds_text),
    Measure(title="Tokens", number=lambda total: total.tokens, text=_whole, short=_short),
    Measure(title="Cost", number=lambda total: total.cost, text=_dollars, short=lambda value: f"${_short(value)}"),
)


def charts(totals: Sequence[Total], by: By) -> list[Chart]:
    """Draw each measure, and the errors by type."""
    if not totals:
        return []
    named, everything = _every_day(totals)[-DAYS:] if by is By.DAY else list(totals[:BARS]), together(totals)
    made = []
    for measure in MEASURES:
        drawn = _columns(measure, named) if by is By.DAY else _rows(measure.title, _values(measure, named), measure.text)
        made.append(drawn if by is By.ERROR else replace(drawn, figure=measure.text(measure.number(everything))))
    if by is By.ERROR:
        return made
    errors = Counter[str]()
    for total in totals:
        errors.update({each.type: each.runs for each in total.errors})
    found = [(one_line(name, 40), float(runs)) for name, runs in errors.most_common(BARS)]
    if by is By.DAY:
        made += [_of_type(name, named, runs) for name, runs in errors.most_common(TYPES)]
    return [*made, _rows("Runs with an error, by type", found, _whole)] if found else made


def _of_type(name: str, days: Sequence[Total], runs: int) -> Chart:
    """Draw on which days a type of error occurred."""
    measure = Measure(title=f"Runs with {one_line(name, 30)}", number=lambda total: _with(total, name), text=_whole, short=_short)
    return replace(_columns(measure, days), figure=_whole(runs))


def _with(total: Total, error: str) -> int:
    return next((each.runs for each in total.errors if each.type == error), 0)


def together(totals: Sequence[Total]) -> Total:
    """Add totals up."""
    return replace(NOTHING, **{name: sum(getattr(total, name) for total in totals) for name in SUMMED})


def _every_day(totals: Sequence[Total]) -> list[Total]:
    """Put in the days on which nothing ran, between the first and the last."""
    known = {total.name: total for total in totals}
    first, last = (date.fromisoformat(totals[index].name) for index in (0, -1))
    days = [(max(first, last - timedelta(days=DAYS)) + timedelta(days=number)).isoformat() for number in range(min((last - first).days, DAYS) + 1)]
    return [known.get(day, replace(NOTHING, name=day)) for day in days]


def _values(measure: Measure, totals: Sequence[Total]) -> list[tuple[str, float]]:
    return [(one_line(total.name, 40) or "–", measure.number(total)) for total in totals]


def _columns(measure: Measure, totals: Sequence[Total]) -> Chart:
    """Draw values over days."""
    values = [measure.number(total) for total in totals]
    top, step = measure.top or _above(max(values)), (WIDTH - GUTTER) / max(len(values), 7)
    bars = [
        Bar(
            name=_day(total.name),
            value=measure.text(value) if total.runs else "no runs",
            x=round(GUTTER + index * step, 2),
            y=round(HEIGHT * (1 - value / top), 2),
            width=round(step * (0.78 if len(values) < 120 else 1), 2),
            height=round(HEIGHT * value / top, 2),
        )
        for index, (total, value) in enumerate(zip(totals, values, strict=True))
    ]
    names = [total.name for total in totals]
    about = f"{measure.title} by day from {names[0]} to {names[-1]}; {measure.text(max(values))} at most."
    levels = [Tick(text=measure.short(level), at=round(HEIGHT * (1 - level / top), 2)) for level in (top / 2, top)]
    return Chart(title=measure.title, about=about, bars=tuple(bars), levels=tuple(levels), dates=_dates(names, step))


def _above(value: float) -> float:
    """Return the next round number whose half is round, too."""
    if value <= 1e-9:
        return 2.0
    unit = 10.0 ** math.floor(math.log10(value))
    factors = (2, 4, 6, 8, 10) if unit == 1.0 else (1, 2, 3, 4, 5, 6, 8, 10)
    return next(unit * factor for factor in factors if value <= unit * factor * (1 + 1e-9))


def _dates(names: Sequence[str], step: float) -> tuple[Tick, ...]:
    """Name the first day, the last, and one between them where there is room."""
    ends = [Tick(text=_day(names[0]), at=GUTTER, anchor="start")]
    if len(names) > 20:
        ends.append(Tick(text=_day(names[len(names) // 2]), at=round(GUTTER + (len(names) // 2 + 0.39) * step, 2)))
    if len(names) > 6:
        ends.append(Tick(text=_day(names[-1]), at=round(GUTTER + (len(names) - 0.22) * step, 2), anchor="end"))
    return tuple(ends)


def _day(name: str) -> str:
    """`24 Nov`."""
    return f"{date.fromisoformat(name):%-d %b}"


def _rows(title: str, values: Sequence[tuple[str, float]], text: Callable[[float], str]) -> Chart:
    """Draw values one below another, each with its name."""
    top = max(value for _, value in values) or 1.0
    bars = [
        Bar(name=name, value=text(value), x=0.0, y=round(index * LINE + 14, 2), width=round(WIDTH * value / top, 2), height=4.0)
        for index, (name, value) in enumerate(values)
    ]
    about = f"{title}: " + ", ".join(f"{bar.name} {bar.value}" for bar in bars) + "."
    return Chart(title=title, about=about, bars=tuple(bars), height=LINE * len(bars))
