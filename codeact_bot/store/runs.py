"""The part of a store on MongoDB that lists runs and adds them up, from the documents of turns alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from pymongo.errors import ExecutionTimeout

from codeact_bot.errors import QueryInvalid
from codeact_bot.store import cells, cursors, queries, records, rows, totals
from codeact_bot.store.outages import reaching
from codeact_bot.store.tallies import Tallies
from codeact_bot.types import By, Query, RunPage, Total

FIELDS = ("thread", "number", "started", "ended", "outcome.ending", "incoming.author", "incoming.text")
SUMMARY = dict.fromkeys((*FIELDS, *(rows.FACT + each.name for each in fields(records.Facts))), 1)


class Runs:
    """Pages of runs, and totals."""

    where: str
    """The server's address, as errors may show it."""
    _tallies: Tallies

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
        """Add up the ended runs that a query finds, the largest number of runs first, days in order; at most 1,000.

        Whole weeks come from the sums that are kept of them. Raises QueryInvalid for words or a cost that too many runs fit.
        """
        filters, time = cells.filters_of(query), (query.since, query.until)
        limit = totals.SINGLY + 1 if filters is None else None
        sums, spans = (totals.Sums(by), [time]) if filters is None else await self._tallies.kept(filters, time, by)
        count = 0
        for since, until in spans:
            part = replace(query, since=since, until=until)
            steps = totals.pipeline(queries.counted(part), by, limit)
            try:
                async for group in self._ended.aggregate(steps, maxTimeMS=round(totals.SECONDS * 1000), **_hint(query)):
                    count += totals.read(sums, group)
            except ExecutionTimeout:
                raise QueryInvalid(totals.TOO_LONG) from None
        if limit is not None and count >= limit:
            raise QueryInvalid(totals.TOO_MANY)
        return sums.totals()

    @reaching
    async def tally(self) -> int:
        """Keep the sums of the weeks that are over, so that totals need not read their runs; returns how many weeks were added up."""
        return await self._tallies.make()


def _hint(query: Query) -> dict[str, Any]:
    """Name the index that alone answers for a query, where one does."""
    elsewhere = query.thread or query.prefix or query.person or query.error or query.text or query.min_cost > 0
    return {} if elsewhere else {"hint": "_".join(f"{field}_{way}" for field, way in queries.FACTS)}
