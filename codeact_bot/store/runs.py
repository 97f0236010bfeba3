"""The part of a store on MongoDB that lists runs and adds them up, from the documents of turns alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from codeact_bot.store import cursors, queries, records, rows, totals
from codeact_bot.store.outages import reaching
from codeact_bot.types import By, Query, RunPage, Total

FIELDS = ("thread", "number", "started", "ended", "outcome.ending", "incoming.author", "incoming.text")
SUMMARY = dict.fromkeys((*FIELDS, *(rows.FACT + each.name for each in fields(records.Facts))), 1)


class Runs:
    """Pages of runs, and totals."""

    where: str
    """The server's address, as errors may show it."""

    def __init__(self, database: Any) -> None:
        """Take the driver's database."""
        self._ended = database["turns"]

    @reaching
    async def search(self, query: Query) -> RunPage:
        """List runs, newest first, at most 1,000. Raises QueryInvalid for a cursor that is none."""
        limit, match = records.bounded(query.limit), queries.ran(query)
        if query.cursor:
            match = {"$and": [match, cursors.after(cursors.place(query.cursor))]}
        cursor = self._ended.find(match, SUMMARY).sort(list(queries.NEWEST)).limit(limit + 1)
        found = [each async for each in cursor]
        last = found[limit - 1] if len(found) > limit else None
        behind = cursors.run((last["started"], last["number"], last["_id"])) if last else ""
        return RunPage(runs=tuple(rows.run(each) for each in found[:limit]), cursor=behind)

    @reaching
    async def totals(self, query: Query, by: By) -> Sequence[Total]:
        """Add up the ended runs that a query finds, the largest number of runs first, days in order; at most 1,000."""
        match = queries.ran(query) | {"state": "ended"}
        groups = self._ended.aggregate(totals.sums(match, by), **_hint(query))
        return totals.read([each async for each in groups], by)


def _hint(query: Query) -> dict[str, Any]:
    """Name the index that alone answers for a query, where one does."""
    elsewhere = query.thread or query.prefix or query.person or query.error or query.text or query.ending
    return {} if elsewhere else {"hint": "_".join(f"{field}_{way}" for field, way in queries.FACTS)}
