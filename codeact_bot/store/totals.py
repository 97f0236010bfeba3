"""Totals of runs: what is added up, by which name, and the pipeline that MongoDB adds it up with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codeact_bot.store import records
from codeact_bot.store.documents import Document
from codeact_bot.types import By, Ending, ErrorCount, Run, Total

ERRORS = 50
"""Types of errors that one total names."""
SINGLY = 5_000
"""Runs that are added up one by one for words or a cost."""
SECONDS = 5.0
"""How long a server may add up."""
TOO_MANY = f"More than {SINGLY:,} runs fit, too many to add up one by one. Choose fewer days, or leave out words and cost."
TOO_LONG = f"Adding these runs up takes longer than {SECONDS:g} seconds. Choose fewer days, or leave out words and cost."
ADDED = ("steps", "seconds", "tokens", "cost")
SUMMED = ("runs", *map(str, Ending), "repairs", *ADDED)

Kept = list[tuple[str, Sequence[float], Sequence[tuple[str, int]]]]
"""Sums as they are kept: names, `SUMMED`, and how many runs had an error of each type."""


class Sums:
    """What runs come to, by name."""

    def __init__(self, by: By) -> None:
        """Begin with none."""
        self._by = by
        self._found: dict[str, list[float]] = {}
        self._errors: dict[str, Counter[str]] = {}

    def add(self, name: str, failures: Sequence[str], values: Sequence[float]) -> None:
        """Add what some runs come to that all had the same errors; by error, they count for each of these."""
        for each in failures if self._by is By.ERROR else (name,):
            self._put(each, values)
            if failures:
                self._errors[each].update(dict.fromkeys(failures, int(values[0])))

    def merge(self, kept: Kept) -> None:
        """Add sums that were kept."""
        for name, values, errors in kept:
            self._put(name, values)
            self._errors[name].update(dict(errors))

    def _put(self, name: str, values: Sequence[float]) -> None:
        if name not in self._found:
            self._found[name], self._errors[name] = [0] * len(SUMMED), Counter()
        self._found[name] = [one + other for one, other in zip(self._found[name], values, strict=True)]

    def kept(self) -> Kept:
        """Return them as they are kept."""
        return [(name, values, [*self._errors[name].items()]) for name, values in self._found.items()]

    def totals(self) -> Sequence[Total]:
        """Return them, the largest number of runs first, days in order and the last of them, at most `FOUND`."""
        made = [_total(name, values, self._errors[name]) for name, values in self._found.items()]
        if self._by is By.DAY:
            return sorted(made, key=lambda total: total.name)[-records.FOUND :]
        return sorted(made, key=lambda total: (-total.runs, total.name))[: records.FOUND]


def _total(name: str, values: Sequence[float], errors: Counter[str]) -> Total:
    most = sorted(errors.items(), key=lambda item: (-item[1], item[0]))[:ERRORS]
    found: dict[str, Any] = dict(zip(SUMMED, values, strict=True))
    return Total(name=name, errors=tuple(ErrorCount(type=kind, runs=runs) for kind, runs in most), **found)


def pipeline(match: Document, by: By, limit: int | None = None) -> list[Document]:
    """Add up, by name and the errors that occurred, what can be read from one index alone; only so many runs where there is a limit."""
    endings = {str(ending): {"$sum": {"$cond": [{"$eq": ["$fact_ending", ending.value]}, 1, 0]}} for ending in Ending}
    repairs = {"$sum": {"$cond": [{"$eq": ["$fact_ending", Ending.ANSWERED.value]}, "$fact_repairs", 0]}}
    added = {name: {"$sum": f"$fact_{name}"} for name in ADDED}
    name = {} if by is By.ERROR else {"name": f"$fact_{by}"}
    group = {"_id": {**name, "failures": "$fact_failures"}, "runs": {"$sum": 1}, **endings, "repairs": repairs, **added}
    return [{"$match": match}, *([] if limit is None else [{"$limit": limit}]), {"$group": group}]


def read(sums: Sums, group: Mapping[str, Any]) -> int:
    """Add a group that the pipeline made; returns how many runs it has."""
    failures = (group["_id"].get("failures") or "").splitlines()
    sums.add(group["_id"].get("name") or "", failures, [group[each] for each in SUMMED])
    return int(group["runs"])


def add(runs: Iterable[Run], by: By) -> Sequence[Total]:
    """Add up runs in Python."""
    sums = Sums(by)
    for run in runs:
        sums.add(_name(run, by), run.errors, _values(run))
    return sums.totals()


def _values(run: Run) -> list[float]:
    """Return what one run adds to the sums."""
    repairs = run.repairs if run.ending is Ending.ANSWERED else 0
    return [1, *(int(run.ending is each) for each in Ending), repairs, *(getattr(run, each) for each in ADDED)]


def _name(run: Run, by: By) -> str:
    match by:
        case By.PERSON:
            return records.person(run.author)
        case By.CHANNEL:
            return run.channel
        case By.PLATFORM:
            return run.thread.partition(":")[0]
        case By.MODEL:
            return run.model
        case By.DAY:
            return run.started.date().isoformat()
        case By.ERROR:
            return ""
