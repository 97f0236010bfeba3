"""Which sums of a week are kept: those of all its runs, and of those that fit a combination of filters, where these are many.

A combination that is not kept fits few runs of that week, and these are read; so neither the sums nor what has to be read grows without bound.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from codeact_bot.store import documents, records
from codeact_bot.store.totals import ADDED, Kept, Sums
from codeact_bot.types import By, Ending, Query

MANY = 50
"""Runs of one week that are not to be read again for each question."""
FIELDS = ("people", "errors", *(f"fact_{each.name}" for each in fields(records.Facts)))
"""What is read of a turn to add it up."""
PRESSURE = 6
"""How hard to try to write sums in few bytes, from 1 to 9."""
WEEK = timedelta(days=7)

Filters = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time whose runs are to be read."""

    since: datetime | None
    until: datetime | None
    """Its end, not included; None does not restrict."""
    few: bool = False
    """Whether few runs fit the filters there: its weeks are added up, and have no sums of them."""


def week_of(at: datetime) -> str:
    """Return the Monday, in UTC, of the week of a time."""
    day = at.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def bounds(week: str) -> tuple[datetime, datetime]:
    """Return when a week begins, and when the next one does."""
    begins = datetime.combine(date.fromisoformat(week), datetime.min.time(), UTC)
    return begins, begins + WEEK


def weeks(first: datetime, last: datetime) -> Iterator[str]:
    """Return the weeks from that of one time to that of another."""
    begins = bounds(week_of(first))[0]
    while begins <= last:
        yield week_of(begins)
        begins += WEEK


def between(kept: Mapping[str, bool], since: datetime | None, until: datetime | None) -> list[Span]:
    """Return what is left of a time without the weeks within it whose sums are there; of the others that are named, few runs fit."""
    spans: list[Span] = []
    for week in sorted(kept):
        begins, ends = bounds(week)
        if since is None or since < begins:
            spans.append(Span(since=since, until=begins))
        if not kept[week]:
            joined = spans.pop().since if spans and spans[-1].few and spans[-1].until == begins else begins
            spans.append(Span(since=joined, until=ends, few=True))
        since = ends
    if since is None or until is None or since < until:
        spans.append(Span(since=since, until=until))
    return spans


def filters_of(query: Query) -> Filters | None:
    """Return what a query restricts, apart from its time; None where it asks for what no sums are kept of."""
    if query.thread is not None or query.prefix or records.wanted_words(query) or query.min_cost > 0:
        return None
    given = {
        "channel": query.channel,
        "ending": str(query.ending or ""),
        "error": records.fold(query.error),
        "model": query.model,
        "person": records.fold(query.person),
        "platform": "" if query.channel.partition(":")[0] == query.platform else query.platform,
    }
    return tuple((name, documents.encode(value)) for name, value in given.items() if value)


def key(filters: Filters) -> str:
    """Name a combination of filters."""
    return hashlib.sha256(json.dumps(filters).encode()).hexdigest()[:32]


def cells(rows: Sequence[Mapping[str, Any]]) -> dict[Filters, dict[str, bytes]]:
    """Add up the runs of a week, for every combination of filters that many of them fit."""
    wanted = [_values(row) for row in rows]
    counts = Counter(each for values in wanted for each in values)
    frequent = [[each for each in values if counts[each] >= MANY] for values in wanted]
    fitting: dict[Filters, list[Mapping[str, Any]]] = {}
    for row, values in zip(rows, frequent, strict=True):
        for filters in _combinations(values):
            fitting.setdefault(filters, []).append(row)
    return {filters: _sums(found) for filters, found in fitting.items() if len(found) >= MANY}


def _values(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the filters that a run fits, in the order of their names."""
    single = {name: [row.get(f"fact_{name}") or ""] for name in ("channel", "ending", "model", "platform")}
    several = {"error": row.get("errors", ()), "person": row.get("people", ())}
    return [(name, value) for name, values in sorted((single | several).items()) for value in values if value]


def _combinations(values: Sequence[tuple[str, str]]) -> Iterator[Filters]:
    """Return all combinations with one value of each name at most; a channel says on which platform it is."""
    made: list[Filters] = [()]
    for name, value in values:
        others = (each for each in made if name != "platform" or not each or each[0][0] != "channel")
        made += [(*each, (name, value)) for each in others if not each or each[-1][0] != name]
    return iter(made)


def pack(sums: Sums) -> bytes:
    """Write sums as they are kept, in a tenth of the bytes."""
    return zlib.compress(json.dumps(sums.kept()).encode(), PRESSURE)


def unpack(data: bytes) -> Kept:
    """Read sums that are kept."""
    kept: Kept = json.loads(zlib.decompress(data))
    return kept


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    made = {by: Sums(by) for by in By}
    for row in rows:
        ending, failures = row["fact_ending"], row.get("fact_failures", "").splitlines()
        repairs = row["fact_repairs"] if ending == Ending.ANSWERED.value else 0
        values = [1, *(int(ending == each.value) for each in Ending), repairs, *(row[f"fact_{name}"] for name in ADDED)]
        for by, sums in made.items():
            sums.add("" if by is By.ERROR else row.get(f"fact_{by}") or "", failures, values)
    return {str(by): pack(sums) for by, sums in made.items()}
