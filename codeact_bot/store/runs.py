"""The part of a store on MongoDB that lists runs and adds them up, from the documents of turns alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from pymongo.errors import ExecutionTimeout

from codeact_bot.errors import QueryInvalid
from codeact_bot.store import cells, cursors, queries, records, rows, totals
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.tallies import Tallies
from codeact_bot.store.totals import Sums
from codeact_bot.types import By, Query, RunPage, Total

FIELDS = ("thread", "number", "started", "ended", "outcome.ending", "incoming.author", "incoming.text")
FACTS = "_".join(f"{field}_{way}" for field, way in queries.FACTS)
"""The name of the index that alone has all that totals add up."""
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
        filters = cells.filters_of(query)
        if filters is None:
            sums = Sums(by)
            if await self._add(sums, queries.counted(query), by, limit=totals.SINGLY + 1) > totals.SINGLY:
                raise QueryInvalid(totals.TOO_MANY)
            return sums.totals()
        sums, spans = await self._tallies.kept(filters, query.since, query.until, by)
        for span in spans:
            part = replace(query, since=span.since, until=span.until)
            facts = None if span.few else queries.counted_by_facts(part)
            await self._add(sums, facts or queries.counted(part), by, hint=FACTS if facts else None)
        return sums.totals()

    async def _add(self, sums: Sums, match: Document, by: By, *, limit: int | None = None, hint: str | None = None) -> int:
        """Add up runs one by one; returns how many those were. Raises QueryInvalid where that takes too long."""
        count, chosen = 0, {"hint": hint} if hint else {}
        groups = self._ended.aggregate(totals.pipeline(match, by, limit), maxTimeMS=round(totals.SECONDS * 1000), **chosen)
        try:
            async for group in groups:
                count += totals.read(sums, group)
        except ExecutionTimeout:
            raise QueryInvalid(totals.TOO_LONG) from None
        return count

    @reaching
    async def tally(self) -> int:
        """Keep the sums of the weeks that are over, so that totals need not read their runs; returns how many weeks were added up."""
        return await self._tallies.make()
