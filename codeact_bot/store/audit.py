"""The part of a store on MongoDB that keeps the audit: its chain, and the end of the chain apart from it.

Records and the end are written in one transaction, so that several workers extend one chain without gaps, and a crash leaves all of a batch or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from codeact_bot.redaction import Redactor
from codeact_bot.store import chain, cursors, records
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.runs import Runs
from codeact_bot.types import Entry, Receipt, Record, RecordPage, Trail

END = "end"
WHOLE = ["int", "long"]
ODD = {"$or": [{"_id": {"$lte": 0}}, {"_id": {"$not": {"$type": WHOLE}}}]}
"""Matches records whose number is none."""
DUPLICATE = 11000
"""Code with which a server refuses a second document of the same key."""


class Audit(Runs):
    """The chain."""

    redact: Redactor

    def __init__(self, client: Any, database: Any) -> None:
        """Take the driver's client and database."""
        super().__init__(database)
        self._sessions = client
        self._records, self._ends = database["audit"], database["audit_end"]

    @reaching
    async def append(self, entries: Sequence[Entry]) -> None:
        """Add records to the end of the chain, all of them or none; an entry whose key is there already is left out."""
        first = {entry.key: entry for entry in reversed(entries)}
        fresh, taken = [self.redact.entry(first[key]) for key in dict.fromkeys(entry.key for entry in entries)], False
        while fresh:
            try:
                await self._extend(fresh, taken=taken)
                return
            except (DuplicateKeyError, BulkWriteError) as error:
                if isinstance(error, BulkWriteError) and any(each["code"] != DUPLICATE for each in error.details["writeErrors"]):
                    raise
                found = self._records.find({"key": {"$in": [entry.key for entry in fresh]}}, {"key": 1})
                known = {each["key"] async for each in found}
                taken = not known
                fresh = [entry for entry in fresh if entry.key not in known]

    async def _extend(self, entries: Sequence[Entry], *, taken: bool) -> None:
        """Write records behind the end, and the new end, all at once; `taken` tells that there are records behind it already."""

        async def write(session: Any) -> None:
            kept = await self._ends.find_one_and_update({"_id": END}, {"$inc": {"batches": 1}}, upsert=True, session=session)
            after = _receipt(kept) or await self._last(session)
            if taken:  # by somebody who wrote around us: theirs are passed over, and do not fit into the chain
                after = replace(after, number=(await self._last(session)).number)
            written: list[Document] = []
            for entry in entries:
                written.append(chain.seal(entry, after))
                after = chain.end(written[-1])
            await self._records.insert_many(written, session=session)
            await self._ends.update_one({"_id": END}, {"$set": {"number": after.number, "hash": after.hash}}, session=session)

        async with await self._sessions.start_session() as session:
            await session.with_transaction(write)

    async def _last(self, session: Any) -> Receipt:
        """The end by the records alone, for the first batch, or when somebody removed the end that was kept."""
        row = await self._records.find_one({}, sort=[("_id", -1)], session=session)
        return chain.GENESIS if row is None else chain.end(row)

    @reaching
    async def records(self, trail: Trail) -> RecordPage:
        """List records, newest first, at most 1,000."""
        limit = records.bounded(trail.limit)
        rows = [each async for each in self._records.find(cursors.trail(trail)).sort("_id", -1).limit(limit + 1)]
        found = tuple(chain.record(row) for row in rows[:limit])
        return RecordPage(records=found, cursor=cursors.number(found[-1].number) if len(rows) > limit else "")

    @reaching
    async def chain(self, after: int, limit: int) -> Sequence[Record]:
        """The records after a number, oldest first; before the first, those whose number is none."""
        rows = [row async for row in self._records.find(ODD).limit(limit)] if after == 0 else []
        rows += [row async for row in self._records.find({"_id": {"$gt": after, "$type": WHOLE}}).sort("_id", 1).limit(limit)]
        return [chain.record(row) for row in rows]

    @reaching
    async def receipt(self) -> Receipt | None:
        """The end of the chain, as it is kept apart from it; None before the first record."""
        return _receipt(await self._ends.find_one({"_id": END}))


def _receipt(kept: Document | None) -> Receipt | None:
    return Receipt(number=kept["number"], hash=kept["hash"]) if kept and "number" in kept else None
