"""What MongoStore reads of the history: threads, turns and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codeact_bot.errors import ThreadNotFound
from codeact_bot.store import documents, queries, records, rows
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.types import Query, Step, Thread, ThreadId, Turn


class History:
    """The reading part of a store on MongoDB."""

    where: str
    """The server's address, as errors may show it."""

    def __init__(self, database: Any) -> None:
        """Take the driver's database."""
        self._database = database
        self._threads, self._turns, self._steps = (database[name] for name in ("threads", "turns", "steps"))

    @reaching
    async def turns(self, thread: ThreadId, *, last: int | None = None) -> Sequence[Turn]:
        """The thread's ended turns, oldest first, without those undone; only the last ones where `last` is given."""
        if last is not None and last <= 0:
            return []
        cursor = self._turns.find({"thread": thread, "state": "ended"}).sort("number", -1).limit(last or 0)
        return await self._with_steps([each async for each in cursor][::-1])

    @reaching
    async def thread(self, thread: ThreadId) -> Thread:
        """Describe a conversation. Raises ThreadNotFound."""
        found = await self._threads.find_one({"_id": thread}, rows.VIEW)
        if found is None:
            raise ThreadNotFound(records.no_thread(thread))
        return rows.thread(found)

    @reaching
    async def threads(self, *, limit: int) -> Sequence[Thread]:
        """The conversations, the last active first, at most 1,000."""
        cursor = self._threads.find({}, rows.VIEW).sort("updated", -1).limit(records.bounded(limit))
        return [rows.thread(each) async for each in cursor]

    @reaching
    async def find(self, query: Query) -> Sequence[Turn]:
        """Turns that match, newest first, at most 1,000."""
        cursor = self._turns.find(queries.found(query)).sort(list(queries.NEWEST)).limit(records.bounded(query.limit))
        return await self._with_steps([each async for each in cursor])

    async def _with_steps(self, found: Sequence[Document], session: Any = None) -> list[Turn]:
        steps = await self._steps_of([each["_id"] for each in found], session)
        return [rows.turn(each, steps) for each in found]

    async def _steps_of(self, turn_ids: Sequence[str], session: Any = None) -> dict[str, tuple[Step, ...]]:
        steps: dict[str, tuple[Step, ...]] = {}
        cursor = self._steps.find({"turn": {"$in": list(turn_ids)}}, session=session).sort([("turn", 1), ("index", 1)])
        async for each in cursor:
            steps[each["turn"]] = (*steps.get(each["turn"], ()), documents.decode(Step, each))
        return steps
