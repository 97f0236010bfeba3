"""Totals of runs: the pipelines that MongoDB adds them up with, and the same in Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codeact_bot.store import records
from codeact_bot.store.documents import Document
from codeact_bot.types import By, Ending, ErrorCount, Run, Total

ERRORS = 10
"""Types of errors that one total names."""
ADDED = ("steps", "seconds", "tokens", "cost")
SUMMED = ("runs", *map(str, Ending), "repairs", *ADDED)


def sums(match: Document, by: By) -> list[Document]:
    """Add up, by name and the errors that occurred, what can be read from one index alone."""
    endings = {str(ending): {"$sum": {"$cond": [{"$eq": ["$fact_ending", ending.value]}, 1, 0]}} for ending in Ending}
    repairs = {"$sum": {"$cond": [{"$eq": ["$fact_ending", Ending.ANSWERED.value]}, "$fact_repairs", 0]}}
    added = {name: {"$sum": f"$fact_{name}"} for name in ADDED}
    group = {"_id": {"name": f"$fact_{by}", "failures": "$fact_failures"}, "runs": {"$sum": 1}, **endings, "repairs": repairs, **added}
    return [{"$match": match}, {"$group": group}]


def read(groups: Iterable[Mapping[str, Any]], by: By) -> Sequence[Total]:
    """Make totals of the sums: the largest number of runs first, days in order, the last `FOUND` of them."""
    found: dict[str, Counter[str]] = {}
    errors: dict[str, Counter[str]] = {}
    for group in groups:
        name = group["_id"].get("name") or ""
        found.setdefault(name, Counter()).update({each: group[each] for each in SUMMED})
        errors.setdefault(name, Counter()).update(dict.fromkeys((group["_id"].get("failures") or "").splitlines(), group["runs"]))
    totals = [_total(name, sums, errors[name]) for name, sums in found.items()]
    if by is By.DAY:
        return sorted(totals, key=lambda total: total.name)[-records.FOUND :]
    return sorted(totals, key=lambda total: (-total.runs, total.name))[: records.FOUND]


def _total(name: str, sums: Counter[str], errors: Counter[str]) -> Total:
    most = sorted(errors.items(), key=lambda item: (-item[1], item[0]))[:ERRORS]
    return Total(name=name, errors=tuple(ErrorCount(type=kind, runs=runs) for kind, runs in most), **{each: sums[each] for each in SUMMED})


def add(runs: Iterable[Run], by: By) -> Sequence[Total]:
    """Add up runs in Python."""
    return read((_group(run, by) for run in runs), by)


def _group(run: Run, by: By) -> Document:
    """Return what one run adds to the sums."""
    ending = {str(each): int(run.ending is each) for each in Ending}
    repairs = run.repairs if run.ending is Ending.ANSWERED else 0
    name = {"name": _name(run, by), "failures": "\n".join(run.errors)}
    return {"_id": name, "runs": 1, "repairs": repairs, **ending, **{each: getattr(run, each) for each in ADDED}}


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
