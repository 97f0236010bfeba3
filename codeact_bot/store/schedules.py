"""The part of a store on MongoDB that keeps schedules and says which are due."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from codeact_bot.errors import ScheduleNotFound
from codeact_bot.redaction import Redactor
from codeact_bot.store import documents, records
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.states import States
from codeact_bot.types import Incoming, Schedule


class Schedules(States):
    """Schedules. A run begins with one write, which only one worker's can be; its message goes into the queue after that, once however often."""

    redact: Redactor

    @reaching
    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a new schedule; one that is there under its id already stays as it is."""
        row = documents.document(self.redact.schedule(schedule))
        await self._database.schedules.update_one({"_id": schedule.id}, {"$setOnInsert": row}, upsert=True)

    @reaching
    async def schedule(self, schedule_id: str) -> Schedule:
        """Raises ScheduleNotFound."""
        return found(schedule_id, await self._database.schedules.find_one({"_id": schedule_id}))

    @reaching
    async def schedules(self, *, channel: str = "", person: str = "") -> Sequence[Schedule]:
        """The schedules of a channel, of a person, or all, the first made first; at most 1,000."""
        given = {"order.channel": channel, "order.author.id": person}
        cursor = self._database.schedules.find({name: value for name, value in given.items() if value}).sort([("made", 1), ("_id", 1)])
        return [documents.decode(Schedule, each) async for each in cursor.limit(records.FOUND)]

    @reaching
    async def set_next(self, schedule_id: str, at: datetime | None) -> Schedule:
        """Say when a schedule runs next; None pauses it. Raises ScheduleNotFound."""
        changed = await self._database.schedules.find_one_and_update({"_id": schedule_id}, {"$set": {"next": at}}, return_document=True)
        return found(schedule_id, changed)

    @reaching
    async def remove_schedule(self, schedule_id: str) -> Schedule:
        """Remove a schedule. Raises ScheduleNotFound."""
        return found(schedule_id, await self._database.schedules.find_one_and_delete({"_id": schedule_id}))

    @reaching
    async def due(self, prefixes: Sequence[str]) -> tuple[datetime, Sequence[Schedule]]:
        """The server's time, and the schedules of channels that begin with a prefix which are due by it or have a run that has begun."""
        at: datetime = (await self._database.command("hello"))["localTime"]
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        begins = "^(?:" + "|".join(map(re.escape, prefixes)) + ")"
        wanted = {"order.channel": {"$regex": begins}, "$or": [{"next": {"$lte": at}}, {"firing": {"$gt": {}}}]}
        cursor = self._database.schedules.find(wanted).sort("next", 1).limit(records.FOUND)
        return at, [documents.decode(Schedule, each) async for each in cursor] if prefixes else []

    @reaching
    async def begin_fire(self, schedule: Schedule, incoming: Incoming, following: datetime | None) -> bool:
        """Begin the run that a schedule is due for, and say when the next one is; False where another worker has, or it was changed meanwhile."""
        still = {"_id": schedule.id, "next": schedule.next, "firing": None}
        result = await self._database.schedules.update_one(still, {"$set": {"next": following, "firing": documents.document(incoming)}})
        return bool(result.modified_count)

    @reaching
    async def fired(self, schedule_id: str, incoming_id: str) -> None:
        """Remember that the message of a run is in the queue."""
        await self._database.schedules.update_one({"_id": schedule_id, "firing.id": incoming_id}, {"$set": {"firing": None}})


def found(schedule_id: str, document: Document | None) -> Schedule:
    """Make a schedule from its document. Raises ScheduleNotFound where there is none."""
    if document is None:
        raise ScheduleNotFound(records.no_schedule(schedule_id))
    return documents.decode(Schedule, document)
