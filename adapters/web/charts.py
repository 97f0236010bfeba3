"""Plots of totals, as numbers that a template draws: nothing but rectangles and text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from adapters.render import cost_text, one_line, seconds_text
from codeact_bot.types import By, Total

WIDTH, HEIGHT = 320.0, 96.0
"""Size of a plot's drawing area."""
BARS = 10
"""Bars of a plot whose names stand beside them."""
DAYS = 366
"""Days that a plot shows, the last ones."""
LINE = 22.0
"""Height of such a bar with its name."""

Number = Callable[[Total], float]


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
class Chart:
    """A plot."""

    title: str
    about: str
    """The same in a sentence."""
    bars: tuple[Bar, ...]
    top: str
    """The largest value."""
    first: str = ""
    last: str = ""
    """The ends of the axis; empty where each bar has its name beside it."""
    height: float = HEIGHT


MEASURES: Sequence[tuple[str, Number, Callable[[float], str]]] = (
    ("Runs", lambda total: total.runs, lambda value: f"{value:,.0f}"),
    ("Answered", lambda total: total.success, lambda value: f"{value:.0%}"),
    ("Failed steps until success", lambda total: total.repairs_until_success, lambda value: f"{value:.2f}"),
    ("Seconds of a run", lambda total: total.seconds / total.runs if total.runs else 0.0, seconds_text),
    ("Tokens", lambda total: total.tokens, lambda value: f"{value:,.0f}"),
    ("Cost", lambda total: total.cost, lambda value: cost_text(value) if value else "0"),
)


def charts(totals: Sequence[Total], by: By) -> list[Chart]:
    """Draw each measure, and the errors by type."""
    if not totals:
        return []
    named = _every_day(totals)[-DAYS:] if by is By.DAY else list(totals[:BARS])
    made = []
    for title, number, text in MEASURES:
        values = [(one_line(total.name, 40) or "-", number(total)) for total in named]
        made.append(_columns(title, values, text) if by is By.DAY else _rows(f"{title} by {by}", values, text))
    errors = Counter[str]()
    for total in totals:
        errors.update({each.type: each.runs for each in total.errors})
    found = [(one_line(name, 40), float(runs)) for name, runs in errors.most_common(BARS)]
    return [*made, _rows("Runs with an error, by type", found, lambda value: f"{value:,.0f}")] if found else made


def _every_day(totals: Sequence[Total]) -> list[Total]:
    """Put in the days on which nothing ran, between the first and the last."""
    known = {total.name: total for total in totals}
    first, last = (date.fromisoformat(totals[index].name) for index in (0, -1))
    none = Total(name="", runs=0, answered=0, limit=0, stopped=0, failed=0, missed=0, steps=0, repairs=0, seconds=0.0, tokens=0, cost=0.0)
    days = [(max(first, last - timedelta(days=DAYS)) + timedelta(days=number)).isoformat() for number in range(min((last - first).days, DAYS) + 1)]
    return [known.get(day, replace(none, name=day)) for day in days]


def _columns(title: str, values: Sequence[tuple[str, float]], text: Callable[[float], str]) -> Chart:
    """Draw values over days."""
    top, step = max(value for _, value in values) or 1.0, WIDTH / max(len(values), 7)
    bars = [
        Bar(
            name=name,
            value=text(value),
            x=round(index * step, 2),
            y=round(HEIGHT * (1 - value / top), 2),
            width=round(step * (0.78 if len(values) < 120 else 1), 2),
            height=round(HEIGHT * value / top, 2),
        )
        for index, (name, value) in enumerate(values)
    ]
    first, last = values[0][0], values[-1][0] if len(values) > 1 else ""
    about = f"{title} by day from {first} to {values[-1][0]}; {text(top)} at most."
    return Chart(title=title, about=about, bars=tuple(bars), top=text(top), first=first, last=last)


def _rows(title: str, values: Sequence[tuple[str, float]], text: Callable[[float], str]) -> Chart:
    """Draw values one below another, each with its name."""
    top = max(value for _, value in values) or 1.0
    bars = [
        Bar(name=name, value=text(value), x=0.0, y=round(index * LINE + 14, 2), width=round(WIDTH * value / top, 2), height=4.0)
        for index, (name, value) in enumerate(values)
    ]
    about = f"{title}: " + ", ".join(f"{bar.name} {bar.value}" for bar in bars) + "."
    return Chart(title=title, about=about, bars=tuple(bars), top=text(top), height=LINE * len(bars))
