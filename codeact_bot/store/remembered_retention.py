"""The part of MemoryStore that removes: what is too old, and what belongs to a person who asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from codeact_bot.errors import ThreadNotFound
from codeact_bot.store import erasure, records
from codeact_bot.store.documents import Document
from codeact_bot.store.remembered import RememberedThread, RememberedTurn
from codeact_bot.store.remembered_audit import RememberedAudit
from codeact_bot.store.remembered_sign_ins import RememberedSignIns
from codeact_bot.types import WEB, Erased, File, Incoming, ThreadId, now


class RememberedRetaining(RememberedSignIns, RememberedAudit):
    """Legal hold, retention, and the removal of a person's data, in memory."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        RememberedSignIns.__init__(self)
        RememberedAudit.__init__(self)
        self._files: dict[str, bytes] = {}
        self._saved: dict[str, datetime] = {}
        self._unused: set[str] = set()
        self._places: dict[str, ThreadId] = {}
        self._owed: dict[str, tuple[str, datetime]] = {}

    async def hold(self, thread: ThreadId, *, on: bool) -> None:
        """Put a conversation on legal hold, or release it. Raises ThreadNotFound."""
        if thread not in self._threads:
            raise ThreadNotFound(records.no_thread(thread))
        self._threads[thread].hold = on

    async def expire(self, before: datetime, *, platform: str = "", other_than: Sequence[str] = ()) -> Erased:
        """Remove the questions that ended before a time, on a platform or on all but some, with all that belongs to them."""

        def fits(thread: str) -> bool:
            where = thread.partition(":")[0]
            return where == platform if platform else where not in other_than

        def old(each: RememberedTurn) -> bool:
            return fits(each.turn.incoming.thread) and each.turn.started < before and each.turn.ended is not None and each.turn.ended < before

        found = Erased()
        for thread in list(self._threads.values()):
            turns = [each for each in thread.turns if old(each)]
            if turns and not thread.hold:
                found += await self._erase(thread, turns, [], erasure.EXPIRED)

        def aged(row: Document) -> bool:
            where = row["content"].get("thread", "")
            kept = where in self._threads and self._threads[ThreadId(where)].hold
            return row["at"] < before and row["kind"] in erasure.PERSONAL and "turn" not in row["content"] and fits(where) and not kept

        return found + Erased(records=await self._redact(aged, erasure.EXPIRED))

    async def forget(self, person: str, *, prefix: str = "") -> Erased:
        """Remove all that a person asked in conversations whose ids begin with a prefix, and what came of it."""
        found = Erased()
        for thread in [each for each in self._threads.values() if each.id.startswith(prefix) and person in each.people]:
            turns = [each for each in thread.turns if each.turn.incoming.author.id == person]
            found += await self._erase(thread, turns, [each for _, each in thread.pending if each.author.id == person], erasure.ASKED_FOR)
        for name, schedule in list(self._schedules.items()):
            if schedule.order.author.id == person and schedule.order.channel.startswith(prefix):
                del self._schedules[name]
        self._shares = {name: each for name, each in self._shares.items() if each.by.id != person or not each.thread.startswith(prefix)}
        if WEB.startswith(prefix):
            await self.end_sign_ins(person)
        for thread in self._threads.values():
            if thread.id.startswith(prefix) and not thread.hold:
                thread.permitted.pop(person, None)

        def theirs(row: Document) -> bool:
            where = row["content"].get("thread", "")
            kept = where in (*found.held, *found.busy) or (where and not where.startswith(prefix))
            return row["content"].get("author", {}).get("id") == person and not kept

        return found + Erased(records=await self._redact(theirs, erasure.ASKED_FOR))

    async def _erase(self, thread: RememberedThread, turns: Sequence[RememberedTurn], messages: Sequence[Incoming], reason: str) -> Erased:
        """Remove some turns and messages that wait of a thread and, where a person asked for it, every state of it."""
        if thread.hold:
            return Erased(held=(thread.id,))
        if thread.held:
            return Erased(busy=(thread.id,))
        names, ids = {each.turn.id for each in turns}, {each.id for each in messages}
        count = await self._redact(lambda row: row["content"].get("turn") in names, reason)
        self._unused |= {file.digest for each in turns for file in _files(each)} | {file.digest for each in messages for file in each.files}
        thread.turns = [each for each in thread.turns if each.turn.id not in names]
        thread.pending = [each for each in thread.pending if each[1].id not in ids]
        self._owed = {name: owed for name, owed in self._owed.items() if name not in names}
        if reason is erasure.ASKED_FOR and thread.ran:
            thread.snapshot, thread.ran = None, records.FORGOTTEN
            for each in thread.turns:
                each.snapshot = None
        return Erased(turns=len(turns), messages=len(messages), threads=self._leave(thread), records=count)

    def _leave(self, thread: RememberedThread) -> int:
        """Describe the thread by what is left of it; where nothing is, remove it."""
        left = [*(each.turn.incoming for each in thread.turns), *(each for _, each in thread.pending)]
        if left:
            described = records.described(left)
            thread.title, thread.names = described.title, dict.fromkeys(described.participants)
            thread.people, thread.words = dict.fromkeys(described.people), dict.fromkeys(described.words)
            return 0
        del self._threads[thread.id]
        self._places = {place: name for place, name in self._places.items() if name != thread.id}
        self._shares = {name: share for name, share in self._shares.items() if share.thread != thread.id}
        return 1

    async def _redact(self, fits: Callable[[Document], bool], reason: str) -> int:
        """Remove the contents of records, after a record that says so; returns how many those were."""
        rows = [row for row in self._records if "content" in row and fits(row)]
        for some in erasure.batches([row["_id"] for row in rows]):
            await self.append([erasure.entry(some, reason)])
        for row in rows:
            del row["content"], row["salt"]
        return len(rows)

    async def sweep(self, seconds: float = 600.0) -> int:
        """Remove the bytes of removed files that nobody else refers to and nobody has saved for so long; returns how many files that were."""
        until = now() - timedelta(seconds=seconds)
        used = {file.digest for thread in self._threads.values() for each in thread.turns for file in _files(each)}
        used |= {file.digest for thread in self._threads.values() for _, incoming in thread.pending for file in incoming.files}
        gone = {digest for digest in self._unused - used if self._saved[digest] <= until}
        self._unused -= gone | used
        self._files = {digest: data for digest, data in self._files.items() if digest not in gone}
        return len(gone)


def _files(each: RememberedTurn) -> list[File]:
    runs = [step.execution for step in each.turn.steps if step.execution is not None]
    return [*each.turn.incoming.files, *(file for run in runs for file in (*run.files, *run.images))]
