"""The history in MongoDB: threads, turns and their steps, and how a turn gets into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codeact_bot.errors import ThreadNotFound
from codeact_bot.store import documents, queries, records, rows
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.tallies import Tallies
from codeact_bot.types import Incoming, Query, Step, Thread, ThreadId, Turn


class History:
    """The part of a store on MongoDB that reads.

    A turn ends with one write to its thread's document, `open.outcome`. What follows from it is written afterwards, by whoever comes
    first: the worker itself, the next one to claim the thread, or a reader. All of it may be written twice.
    """

    where: str
    """The server's address, as errors may show it."""

    def __init__(self, database: Any) -> None:
        """Take the driver's database."""
        self._database = database
        self._threads, self._turns, self._steps = (database[name] for name in ("threads", "turns", "steps"))
        self._tallies = Tallies(database)

    async def _settled(self, thread: ThreadId, fields: Document) -> Document | None:
        """Return some fields of a thread, after bringing a turn that has ended into the history."""
        found: Document | None = await self._threads.find_one({"_id": thread}, {**fields, "open": 1})
        if found is None or not found.get("open", {}).get("outcome"):
            return found
        await self._settle(thread, found["open"])
        return await self._settled(thread, fields)

    async def _settle(self, thread: ThreadId, opened: Document) -> Turn:
        """Bring a turn that has ended into the history and take its message off the queue."""
        row = await self._turns.find_one({"_id": opened["turn"]})
        steps = await self._steps_of({opened["turn"]: rows.versions(opened)})
        incoming = documents.decode(Incoming, row["incoming"])
        ended = rows.ended(incoming, row["started"], opened, steps.get(opened["turn"], ()))

        async def end(turn: Document) -> int | None:
            return (await self._turns.update_one(turn, {"$set": ended})).matched_count or None

        await self._tallies.changing(row["started"], {"_id": row["_id"], "state": "open"}, end)
        if steps:
            await self._steps.delete_many({"turn": opened["turn"], "_id": {"$nin": rows.versions(opened)}})
        await self._threads.update_one({"_id": thread, "open.turn": opened["turn"]}, queries.pop(incoming))
        return rows.turn(row | ended, None, steps)

    @reaching
    async def turns(self, thread: ThreadId, *, last: int | None = None) -> Sequence[Turn]:
        """The thread's ended turns, oldest first, without those undone; only the last ones where `last` is given."""
        if last is not None and last <= 0:
            return []
        await self._settled(thread, {"_id": 1})
        cursor = self._turns.find({"thread": thread, "state": "ended"}).sort("number", -1).limit(last or 0)
        return await self._whole([each async for each in cursor][::-1])

    @reaching
    async def undo(self, thread: ThreadId) -> Turn | None:
        """Mark the last ended turn as undone and return it; None where there is none."""
        await self._settled(thread, {"_id": 1})

        async def take_out(turn: Document) -> Document | None:
            found: Document | None = await self._turns.find_one_and_update(turn, {"$set": {"state": "undone"}})
            return found

        while (last := await self._turns.find_one({"thread": thread, "state": "ended"}, {"started": 1}, sort=[("number", -1)])) is not None:
            found = await self._tallies.changing(last["started"], {"_id": last["_id"], "state": "ended"}, take_out)
            if found is not None:
                return (await self._whole([found]))[0]
        return None

    @reaching
    async def thread(self, thread: ThreadId) -> Thread:
        """Describe a conversation. Raises ThreadNotFound."""
        found = await self._settled(thread, rows.VIEW)
        if found is None:
            raise ThreadNotFound(records.no_thread(thread))
        return (await self._counted([found]))[0]

    @reaching
    async def threads(self, *, limit: int) -> Sequence[Thread]:
        """The conversations, the last active first, at most 1,000."""
        cursor = self._threads.find({}, rows.VIEW).sort("updated", -1).limit(records.bounded(limit))
        return await self._counted([each async for each in cursor])

    async def _counted(self, found: Sequence[Document]) -> list[Thread]:
        match = {"thread": {"$in": [each["_id"] for each in found]}, "state": "ended"}
        cursor = self._turns.aggregate([{"$match": match}, {"$group": {"_id": "$thread", "turns": {"$sum": 1}}}])
        counts = {each["_id"]: each["turns"] async for each in cursor}
        return [rows.thread(each, counts.get(each["_id"], 0)) for each in found]

    @reaching
    async def find(self, query: Query) -> Sequence[Turn]:
        """Turns that match, newest first, at most 1,000."""
        cursor = self._turns.find(queries.found(query)).sort(list(queries.NEWEST)).limit(records.bounded(query.limit))
        return await self._whole([each async for each in cursor])

    async def _whole(self, found: Sequence[Document]) -> list[Turn]:
        """Make turns with their steps from documents of ended and open ones."""
        running = {each["thread"] for each in found if each["state"] == "open"}
        cursor = self._threads.find({"_id": {"$in": list(running)}, "open": {"$ne": None}}, {"open": 1})
        opened = {each["open"]["turn"]: each["open"] async for each in cursor} if running else {}
        versions = {each["_id"]: each.get("steps") or rows.versions(opened.get(each["_id"], {"steps": {}})) for each in found}
        steps = await self._steps_of(versions)
        return [rows.turn(each, opened.get(each["_id"]), steps) for each in found]

    async def _steps_of(self, versions: Mapping[str, Sequence[str]]) -> dict[str, tuple[Step, ...]]:
        steps: dict[str, tuple[Step, ...]] = {}
        wanted = [each for ids in versions.values() for each in ids]
        if not wanted:
            return steps
        cursor = self._steps.find({"_id": {"$in": wanted}})
        for each in sorted([each async for each in cursor], key=lambda each: int(each["index"])):
            steps[each["turn"]] = (*steps.get(each["turn"], ()), documents.decode(Step, each))
        return steps
