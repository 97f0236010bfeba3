"""The part of a store on MongoDB that chat platforms need: where conversations go on, and which answers have not arrived yet."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codeact_bot.errors import ThreadNotFound, TurnNotFound
from codeact_bot.store import backlog, documents, queries, records
from codeact_bot.store.history import History
from codeact_bot.store.outages import reaching
from codeact_bot.types import Backlog, Incoming, ThreadId, Turn


class Places(History):
    """Places of conversations, and the answers owed to them.

    An answer is owed from before its turn ends, so that a worker may die at any point between; one that is owed and whose turn goes on is
    skipped.
    """

    @reaching
    async def turn(self, turn_id: str) -> Turn:
        """A turn, ended or not, without the files' bytes. Raises TurnNotFound."""
        found = await self._turns.find_one({"_id": turn_id})
        if found is None:
            raise TurnNotFound(records.no_turn(turn_id))
        await self._settled(found["thread"], {"_id": 1})
        return (await self._whole([await self._turns.find_one({"_id": turn_id})]))[0]

    @reaching
    async def withdraw(self, thread: ThreadId, incoming_id: str) -> bool:
        """Take a message off the queue; False where it does not wait there or its turn has begun."""
        turn = records.turn_id_of(thread, incoming_id)
        waits = {"_id": thread, "pending.id": documents.encode(incoming_id), "open.turn": {"$ne": turn}}
        return bool((await self._threads.update_one(waits, queries.withdraw(incoming_id))).modified_count)

    @reaching
    async def conversation(self, place: str) -> ThreadId | None:
        """The conversation that goes on at a place of a platform; None where none was begun."""
        found = await self._database.places.find_one({"_id": place})
        return ThreadId(found["thread"]) if found else None

    @reaching
    async def move(self, place: str, thread: ThreadId) -> None:
        """Let this conversation go on at a place, instead of the one before."""
        await self._database.places.update_one({"_id": place}, {"$set": {"thread": thread}}, upsert=True)

    @reaching
    async def permit(self, thread: ThreadId, person: str) -> None:
        """Let a person stop and retry other people's questions in the thread. Raises ThreadNotFound."""
        result = await self._threads.update_one({"_id": thread}, {"$addToSet": {"permitted": person}})
        if not result.matched_count:
            raise ThreadNotFound(records.no_thread(thread))

    async def _owe(self, incoming: Incoming, owner: str) -> None:
        update = [{"$set": {"thread": incoming.thread}}, *queries.deliver(owner, records.GRACE)]
        await self._database.owed.update_one({"_id": records.turn_id(incoming)}, update, upsert=True)

    @reaching
    async def claim_delivery(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Turn | None:
        """Take an ended turn whose answer has not reached the platform, the one tried longest ago first; None where there is none."""
        begins = "^(?:" + "|".join(map(re.escape, prefixes)) + ")"
        while prefixes:
            free = {"thread": {"$regex": begins}, "$expr": {"$lte": ["$until", "$$NOW"]}}
            found = await self._database.owed.find_one_and_update(free, queries.deliver(owner, seconds), sort=[("until", 1)])
            if found is None:
                return None
            try:
                turn = await self.turn(found["_id"])
            except TurnNotFound:
                await self.delivered(found["_id"])
                continue
            if turn.outcome is not None:
                return turn
        return None

    @reaching
    async def backlog(self, prefixes: Sequence[str]) -> Backlog:
        """What waits and runs in the conversations whose ids begin with one of `prefixes`, by the server's clock."""
        if not prefixes:
            return Backlog()
        begins = {"$regex": "^(?:" + "|".join(map(re.escape, prefixes)) + ")"}
        rows = await self._threads.aggregate(backlog.counted(prefixes)).to_list(1)
        return backlog.backlog(rows[0] if rows else {}, await self._database.owed.count_documents({"thread": begins}))

    @reaching
    async def renew_delivery(self, turn_id: str, owner: str, seconds: float) -> bool:
        """Keep others from delivering a turn for longer; False where someone else does, or where it is delivered."""
        result = await self._database.owed.update_one({"_id": turn_id, "owner": owner}, queries.deliver(owner, seconds))
        return bool(result.matched_count)

    @reaching
    async def delivered(self, turn_id: str) -> None:
        """Remember that the turn's answer has reached the platform."""
        await self._database.owed.delete_one({"_id": turn_id})
