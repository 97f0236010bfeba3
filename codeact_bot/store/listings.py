"""The part of a store on MongoDB that lists conversations and keeps the links by which they are shared."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codeact_bot.store import documents, queries, records, rows
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.schedules import Schedules
from codeact_bot.types import Incoming, Listing, Share, Thread, ThreadId, now


class Listings(Schedules):
    """Lists of conversations, and shares."""

    @reaching
    async def browse(self, listing: Listing) -> Sequence[Thread]:
        """The conversations that fit, the last active first, at most 1,000."""
        cursor = self._threads.find(fitting(listing), rows.VIEW).sort([("updated", -1), ("_id", 1)]).limit(records.bounded(listing.limit))
        return await self._counted([each async for each in cursor])

    @reaching
    async def find_words(self, limit: int) -> int:
        """Give conversations of before lists were searched the words by which they are found; returns how many those were, `limit` at most."""
        rows_ = [each async for each in self._threads.find({"worded": {"$ne": True}}, {"pending": 1}).limit(limit)]
        for row in rows_:
            past = self._turns.find({"thread": row["_id"], "state": {"$in": ["open", "ended"]}}, {"incoming": 1}).sort("number", 1)
            asked = [each["incoming"] async for each in past.limit(records.FOUND)] + list(row.get("pending", ()))
            found = records.described([documents.decode(Incoming, each) for each in asked]).words
            await self._threads.update_one({"_id": row["_id"], "worded": {"$ne": True}}, queries.word(found))
        return len(rows_)

    @reaching
    async def save_share(self, share: Share) -> None:
        """Keep a link."""
        await self._database.shares.insert_one(documents.document(share) | {"_id": share.id})

    @reaching
    async def share(self, share_id: str) -> Share | None:
        """A link that is still good; None where there is none."""
        found = await self._database.shares.find_one({"_id": share_id, "until": {"$gt": now()}})
        return documents.decode(Share, found) if found else None

    @reaching
    async def shares(self, thread: ThreadId) -> Sequence[Share]:
        """The links to a conversation that are still good, the first made first."""
        cursor = self._database.shares.find({"thread": thread, "until": {"$gt": now()}}).sort([("made", 1), ("_id", 1)]).limit(records.FOUND)
        return [documents.decode(Share, each) async for each in cursor]

    @reaching
    async def remove_share(self, thread: ThreadId, share_id: str) -> Share | None:
        """Make a link to a conversation void and return it; None where there is none."""
        found = await self._database.shares.find_one_and_delete({"_id": share_id, "thread": thread})
        return documents.decode(Share, found) if found else None


def fitting(listing: Listing) -> Document:
    """Match the conversations of a listing."""
    every: list[Document] = [{"words": {"$regex": f"^{re.escape(documents.encode(word))}"}} for word in records.words([listing.text])]
    if listing.prefix:
        every.append({"_id": {"$regex": f"^{re.escape(listing.prefix)}"}})
    if listing.running:
        every.append({"waiting": {"$gt": queries.EPOCH}})
    if listing.ending is not None:
        every.append({"ending": listing.ending.value, "waiting": None})
    if listing.person:
        every.append({"$or": [{"people": documents.encode(listing.person)}, {"permitted": documents.encode(listing.person)}]})
    if listing.after is not None:
        at, name = listing.after
        every.append({"$or": [{"updated": {"$lt": at}}, {"updated": at, "_id": {"$gt": name}}]})
    return {"$and": every} if every else {}
