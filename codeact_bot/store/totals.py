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


def sums(match: Document, by: By) -> list[Document]:
    """Add up what can be read from an index."""
    endings = {str(ending): {"$sum": {"$cond": [{"$eq": ["$outcome.ending", ending.value]}, 1, 0]}} for ending in Ending}
    repairs = {"$sum": {"$cond": [{"$eq": ["$outcome.ending", Ending.ANSWERED.value]}, "$facts.repairs", 0]}}
    added = {name: {"$sum": f"$facts.{name}"} for name in ADDED}
    group = {"_id": _key(by), "runs": {"$sum": 1}, **endings, "repairs": repairs, **added}
    return [{"$match": match}, {"$group": group}, {"$sort": _order(by)}, {"$limit": records.FOUND}]


def errors(match: Document, by: By) -> list[Document]:
    """Count the runs in which each type of error occurred."""
    group = {"_id": {"name": _key(by), "type": "$facts.failures"}, "runs": {"$sum": 1}}
    failed = match | {"errors": match.get("errors", {"$gt": ""})}
    return [{"$match": failed}, {"$unwind": "$facts.failures"}, {"$group": group}]


def _key(by: By) -> Document | str:
    if by is By.DAY:
        return {"$dateToString": {"date": "$started", "format": "%Y-%m-%d"}}
    return f"$facts.{by}"


def _order(by: By) -> dict[str, int]:
    return {"_id": -1} if by is By.DAY else {"runs": -1, "_id": 1}


def read(groups: Iterable[Mapping[str, Any]], kinds: Iterable[Mapping[str, Any]], by: By) -> Sequence[Total]:
    """Make totals of what both pipelines gave."""
    counts: dict[str, Counter[str]] = {}
    for each in kinds:
        counts.setdefault(each["_id"].get("name") or "", Counter())[each["_id"]["type"]] = each["runs"]
    found = [_total(each, counts.get(each["_id"] or "", Counter())) for each in groups]
    return found[::-1] if by is By.DAY else found


def _total(group: Mapping[str, Any], errors: Counter[str]) -> Total:
    most = sorted(errors.items(), key=lambda item: (-item[1], item[0]))[:ERRORS]
    return Total(
        name=group["_id"] or "",
        **{name: group[name] for name in ("runs", *map(str, Ending), "repairs", *ADDED)},
        errors=tuple(ErrorCount(type=name, runs=runs) for name, runs in most),
    )


def add(runs: Iterable[Run], by: By) -> Sequence[Total]:
    """Add up runs in Python."""
    groups: dict[str, Document] = {}
    kinds: Counter[tuple[str, str]] = Counter()
    for run in runs:
        name = _name(run, by)
        group = groups.setdefault(name, {"_id": name, "runs": 0, **dict.fromkeys(map(str, Ending), 0), "repairs": 0, **dict.fromkeys(ADDED, 0)})
        group["runs"] += 1
        group[str(run.ending)] += 1
        group["repairs"] += run.repairs if run.ending is Ending.ANSWERED else 0
        for each in ADDED:
            group[each] += getattr(run, each)
        kinds.update((name, kind) for kind in run.errors)
    ordered = sorted(groups.values(), key=lambda each: each["_id"], reverse=by is By.DAY)
    ordered = ordered if by is By.DAY else sorted(ordered, key=lambda each: -int(each["runs"]))
    counted = [{"_id": {"name": name, "type": kind}, "runs": count} for (name, kind), count in kinds.items()]
    return read(ordered[: records.FOUND], counted, by)


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
