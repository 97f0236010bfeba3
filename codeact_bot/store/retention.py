"""The part of a store on MongoDB that removes: what is too old, and what belongs to a person who asked for it.

A thread is taken like a turn's worker takes it, by its lease, so that nobody else writes in it meanwhile. What names other things goes last; so a
removal that a crash cuts short is begun again by the next one. Bytes go when nothing refers to them and nobody has saved them for a while: whoever
saves bytes that are there already marks them as saved just now, by the same write that finds them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from codeact_bot.errors import ThreadNotFound
from codeact_bot.store import documents, erasure, queries, records
from codeact_bot.store.audit import Audit
from codeact_bot.store.blobs import Blobs
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.sign_ins import SignIns
from codeact_bot.types import WEB, Erased, Incoming, ThreadId

BATCH = 200
"""Turns that are looked for at once."""
REFERRED = (("turns", "incoming.files"), ("steps", "execution.files"), ("steps", "execution.images"), ("threads", "pending.files"))
"""Where documents refer to bytes."""


class Retaining(SignIns, Audit):
    """Legal hold, retention, and the removal of a person's data."""

    _files: Blobs

    @reaching
    async def hold(self, thread: ThreadId, *, on: bool) -> None:
        """Put a conversation on legal hold, or release it. Raises ThreadNotFound."""
        result = await self._threads.update_one({"_id": thread}, {"$set": {"hold": True}} if on else {"$unset": {"hold": ""}})
        if not result.matched_count:
            raise ThreadNotFound(records.no_thread(thread))

    @reaching
    async def expire(self, before: datetime, *, platform: str = "", other_than: Sequence[str] = ()) -> Erased:
        """Remove the questions that ended before a time, on a platform or on all but some, with all that belongs to them."""
        match: Document = {"started": {"$lt": before}, "ended": {"$lt": before}, "state": {"$ne": "open"}}
        match["fact_platform"] = platform or {"$nin": list(other_than)}
        found, skipped = Erased(), await self._held()
        while rows_ := await self._batch(match, [*skipped]):
            for thread in dict.fromkeys(ThreadId(row["thread"]) for row in rows_):
                ours = [row for row in rows_ if row["thread"] == thread]
                erased = await self._erase(thread, ours, erasure.EXPIRED, person="")
                found += erased
                skipped |= {*erased.held, *erased.busy}
        platforms = {"content.thread": {"$regex": f"^{re.escape(platform)}:"}} if platform else {}
        aged = {"at": {"$lt": before}, "kind": {"$in": list(erasure.PERSONAL)}, "content.turn": None, "content": {"$ne": None}}
        return found + Erased(records=await self._redact(aged | platforms | erasure.beside(other_than, skipped), erasure.EXPIRED))

    async def _held(self) -> set[ThreadId]:
        return {ThreadId(each["_id"]) async for each in self._threads.find({"hold": True}, {"_id": 1})}

    async def _batch(self, match: Document, without: Sequence[str]) -> list[Document]:
        cursor = self._turns.find(match | {"thread": {"$nin": without}}, {"thread": 1, "incoming": 1, "started": 1}).sort("started", 1).limit(BATCH)
        return [each async for each in cursor]

    @reaching
    async def forget(self, person: str, *, prefix: str = "") -> Erased:
        """Remove all that a person asked in conversations whose ids begin with a prefix, and what came of it."""
        begins = {"$regex": f"^{re.escape(prefix)}"}
        match = {"people": documents.encode(records.fold(person)), "incoming.author.id": documents.encode(person), "thread": begins}
        turns = [each async for each in self._turns.find(match, {"thread": 1, "incoming": 1, "started": 1})]
        waiting = self._threads.find({"people": documents.encode(person), "_id": begins}, {"_id": 1})
        threads = dict.fromkeys([ThreadId(each["thread"]) for each in turns] + [ThreadId(each["_id"]) async for each in waiting])
        found = Erased()
        for thread in threads:
            found += await self._erase(thread, [row for row in turns if row["thread"] == thread], erasure.ASKED_FOR, person)
        await self._database.schedules.delete_many({"order.author.id": person, "order.channel": begins})
        await self._database.shares.delete_many({"by.id": person, "thread": begins})
        if WEB.startswith(prefix):
            await self._database.sign_ins.delete_many({"person.id": documents.encode(person)})
        await self._threads.update_many({"permitted": person, "_id": begins, "hold": None}, {"$pull": {"permitted": person}})
        theirs = {"content.author.id": documents.encode(person), "content.thread": {"$not": {"$in": [*found.held, *found.busy]}}}
        places = {"$or": [{"content.thread": begins}, {"content.thread": None}]} if prefix else {}
        return found + Erased(records=await self._redact(theirs | places, erasure.ASKED_FOR))

    async def _erase(self, thread: ThreadId, turns: Sequence[Document], reason: str, person: str) -> Erased:
        """Remove some turns of a thread and, where a person is named, their messages that wait and every state of the thread."""
        await self._settled(thread, {"_id": 1})
        owner = f"{erasure.OWNER}:{secrets.token_hex(8)}"
        free = {"_id": thread, "hold": None, "$expr": {"$not": [{"$gt": ["$lease.until", "$$NOW"]}]}}
        taken = await self._threads.find_one_and_update(free, queries.lend(owner, records.ERASING))
        if taken is None and (there := await self._threads.find_one({"_id": thread}, {"hold": 1})) is not None:
            return Erased(held=(thread,)) if there.get("hold") else Erased(busy=(thread,))
        names = [row["_id"] for row in turns]
        gone = [each for each in (taken or {}).get("pending", ()) if person and each["author"]["id"] == documents.encode(person)]
        count = await self._redact({"content.turn": {"$in": names}, "content": {"$ne": None}}, reason)
        await self._unlink([*(row["incoming"] for row in turns), *gone], names)
        for row in turns:
            before = await self._tallies.changing(row["started"], {"_id": row["_id"]}, self._remove)
            await self._drop((before or {}).get("snapshot"))
        left = 0 if taken is None else await self._leave(thread, owner, [each["id"] for each in gone], names, stateless=bool(person))
        return Erased(turns=len(turns), messages=len(gone), threads=left, records=count)

    async def _remove(self, turn: Document) -> Document | None:
        """Remove a turn; returns what names its state."""
        found: Document | None = await self._turns.find_one_and_delete(turn, projection={"snapshot": 1})
        return found

    async def _unlink(self, messages: Iterable[Document], turns: Sequence[str]) -> None:
        """Remove the steps of turns, and note all bytes that they and the messages refer to as perhaps used no more."""
        steps = self._steps.find({"turn": {"$in": list(turns)}}, {"execution.files.digest": 1, "execution.images.digest": 1})
        digests = {file["digest"] for message in messages for file in message.get("files", ())}
        async for step in steps:
            run = step.get("execution") or {}
            digests |= {file["digest"] for name in ("files", "images") for file in run.get(name, ())}
        for digest in digests:
            await self._database.unused.update_one({"_id": digest}, [{"$set": {"at": "$$NOW"}}], upsert=True)
        await self._steps.delete_many({"turn": {"$in": list(turns)}})
        await self._database.owed.delete_many({"_id": {"$in": list(turns)}})

    async def _leave(self, thread: ThreadId, owner: str, messages: Sequence[str], turns: Sequence[str], *, stateless: bool) -> int:
        """Describe the thread by what is left of it and give it back; where nothing is, remove it. Returns how many threads that were."""
        ours = {"_id": thread, "lease.owner": owner}
        if stateless:
            await self._forget_all_states(thread, ours)
        await self._threads.update_one(ours, erasure.without(messages, turns))
        found = await self._threads.find_one(ours, {"pending": 1, "open": 1, "snapshot": 1}) or {}
        turns_left = [each async for each in self._turns.find({"thread": thread}, {"incoming": 1, "number": 1})]
        rest = [each["incoming"] for each in sorted(turns_left, key=lambda each: int(each["number"]))]
        messages_ = [documents.decode(Incoming, each) for each in (*rest, *found.get("pending", ()))]
        if messages_ or found.get("open"):
            fields = documents.document(records.described(messages_)) if messages_ else {}
            await self._threads.update_one(ours, [{"$set": queries.literals(fields) | {"lease.until": "$$REMOVE"}}])
            return 0
        gone = await self._threads.find_one_and_delete({**ours, "pending": {"$in": [None, []]}}, projection={"snapshot": 1})
        if gone is None:  # somebody asked a moment ago
            await self._threads.update_one(ours, {"$unset": {"lease.until": ""}})
            return 0
        await self._drop(gone.get("snapshot"))
        for name in ("places", "shares"):
            await self._database[name].delete_many({"thread": thread})
        return 1

    async def _forget_all_states(self, thread: ThreadId, ours: Document) -> None:
        """Remove every state of a thread: what one person's code left in variables and files cannot be told from the rest."""
        before = await self._threads.find_one_and_update(
            {**ours, "ran": {"$gt": ""}}, {"$unset": {"snapshot": ""}, "$set": {"ran": records.FORGOTTEN}}, projection={"snapshot": 1}
        )
        await self._drop((before or {}).get("snapshot"))
        kept = {"thread": thread, "state": {"$in": ["ended", "undone"]}, "snapshot": {"$ne": None}}
        while (row := await self._turns.find_one_and_update(kept, {"$unset": {"snapshot": ""}}, projection={"snapshot": 1})) is not None:
            await self._drop(row["snapshot"])

    async def _redact(self, match: Document, reason: str) -> int:
        """Remove the contents of records, after a record that says so; returns how many those were."""
        await self._settled_end()  # or what a dead worker has left would come into the chain later
        numbers = [each["_id"] async for each in self._records.find(match, {"_id": 1}).sort("_id", 1)]
        for some in erasure.batches(numbers):
            await self.append([erasure.entry(some, reason)])
            await self._records.update_many({"_id": {"$in": some}}, {"$unset": {"content": "", "salt": ""}})
        return len(numbers)

    @reaching
    async def sweep(self, seconds: float = 600.0) -> int:
        """Remove the bytes of removed files that nobody else refers to and nobody has saved for so long; returns how many files that were."""
        count = 0
        async for each in self._database.unused.find().sort("_id", 1):
            if await self._referred(each["_id"]):
                await self._database.unused.delete_one({"_id": each["_id"], "at": each["at"]})
            elif await self._files.remove(each["_id"], seconds):
                await self._database.unused.delete_one({"_id": each["_id"], "at": each["at"]})
                count += 1
        return count

    async def _referred(self, digest: str) -> bool:
        for name, field in REFERRED:
            if await self._database[name].find_one({f"{field}.digest": digest}, {"_id": 1}) is not None:
                return True
        return False
