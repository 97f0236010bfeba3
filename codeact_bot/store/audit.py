"""The part of a store on MongoDB that keeps the audit: its chain, and the end of the chain apart from it.

A batch of records is written into the end first, by one write that only one worker's can be, and from there into the chain, by whoever comes first:
several workers extend one chain without gaps, and a crash leaves all of a batch or none. A transaction would, too, but that of a worker that was
killed holds up all others for a minute (MongoDB's transactionLifetimeLimitSeconds).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from codeact_bot.redaction import Redactor
from codeact_bot.store import chain, cursors, documents, records
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.runs import Runs
from codeact_bot.types import Entry, Receipt, Record, RecordPage, Trail

END = "end"
WHOLE = ["int", "long"]
ODD = {"$or": [{"_id": {"$lte": 0}}, {"_id": {"$not": {"$type": WHOLE}}}]}
"""Matches records whose number is none."""
BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of records that the end holds at once; a document takes 16 MiB."""
DUPLICATE = 11000
"""Code with which a server refuses a second document of the same key."""


class Audit(Runs):
    """The chain."""

    redact: Redactor

    def __init__(self, database: Any) -> None:
        """Take the driver's database."""
        super().__init__(database)
        self._records, self._ends = database["audit"], database["audit_end"]
        self._waiting: dict[object, Sequence[Entry]] = {}
        self._appending = asyncio.Lock()

    @reaching
    async def append(self, entries: Sequence[Entry]) -> None:
        """Add records to the end of the chain, in their order; an entry whose key is there already is left out.

        What waits while another batch of this worker is written goes with the next, all at once: they do not race each other for the end.
        """
        mine = object()
        self._waiting[mine] = entries
        try:
            async with self._appending:
                if mine in self._waiting:
                    batch = dict(self._waiting)
                    await self._append([entry for each in batch.values() for entry in each])
                    for each in batch:
                        self._waiting.pop(each, None)
        finally:
            self._waiting.pop(mine, None)

    async def _append(self, entries: Sequence[Entry]) -> None:
        first = {entry.key: entry for entry in reversed(entries)}
        fresh = [self.redact.entry(first[key]) for key in dict.fromkeys(entry.key for entry in entries)]
        while fresh:
            after, kept = await self._settled_end()
            known = {each["key"] async for each in self._records.find({"key": {"$in": [entry.key for entry in fresh]}}, {"key": 1})}
            fresh = [entry for entry in fresh if entry.key not in known]
            batch = _sealed(fresh, after)
            if batch and await self._extend(kept, batch):
                await self._settle_end(batch)
                fresh = fresh[len(batch) :]

    async def _settled_end(self) -> tuple[Receipt, Receipt | None]:
        """Return what the next record follows, and the end as it is kept, after writing the records that a dead worker has left in it."""
        kept = await self._ends.find_one({"_id": END})
        while kept and kept.get("batch"):
            await self._settle_end(kept["batch"])
            kept = await self._ends.find_one({"_id": END})
        last = await self._records.find_one({"_id": {"$type": WHOLE}}, sort=[("_id", -1)])
        ends = chain.end(last) if last else chain.GENESIS
        known = _receipt(kept)
        if known is not None and ends.number > known.number:  # by somebody who wrote around us: theirs are passed over, and do not fit
            return replace(known, number=ends.number), known
        return known or ends, known

    async def _extend(self, kept: Receipt | None, batch: Sequence[Document]) -> bool:
        """Move the end behind a batch, which it holds until the records are written; False where another worker came first."""
        end = {"number": batch[-1]["_id"], "hash": batch[-1]["hash"], "batch": list(batch)}
        if kept is None:
            try:
                await self._ends.insert_one({"_id": END, **end})
            except DuplicateKeyError:
                return False
            return True
        still = {"_id": END, "number": kept.number, "hash": kept.hash, "batch": None}
        return bool((await self._ends.update_one(still, {"$set": end})).modified_count)

    async def _settle_end(self, batch: Sequence[Document]) -> None:
        """Write the records of a batch, unless somebody has, and take it out of the end."""
        try:
            await self._records.insert_many(list(batch), ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != DUPLICATE for each in error.details["writeErrors"]):
                raise
        await self._ends.update_one({"_id": END, "number": batch[-1]["_id"]}, {"$unset": {"batch": ""}})

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
        return (await self._settled_end())[1]


def _receipt(kept: Document | None) -> Receipt | None:
    return Receipt(number=kept["number"], hash=kept["hash"]) if kept and "number" in kept else None


def _sealed(entries: Sequence[Entry], after: Receipt) -> list[Document]:
    """Return the documents of the first entries, one behind the other, as many as the end can hold."""
    batch: list[Document] = []
    size = 0
    for entry in entries:
        row = chain.seal(entry, after)
        size += documents.size(row)
        if batch and size > BATCH_BYTES:
            break
        batch.append(row)
        after = chain.end(row)
    return batch
