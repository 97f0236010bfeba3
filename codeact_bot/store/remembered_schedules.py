"""The part of MemoryStore that keeps schedules and says which are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from codeact_bot.errors import ScheduleNotFound
from codeact_bot.redaction import Redactor
from codeact_bot.store import records
from codeact_bot.types import Incoming, Schedule, now


class RememberedSchedules:
    """Schedules in memory."""

    redact: Redactor

    def __init__(self) -> None:
        """Have no schedules."""
        self._schedules: dict[str, Schedule] = {}

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a new schedule; one that is there under its id already stays as it is."""
        self._schedules.setdefault(schedule.id, self.redact.schedule(schedule))

    async def schedule(self, schedule_id: str) -> Schedule:
        """Raises ScheduleNotFound."""
        if schedule_id not in self._schedules:
            raise ScheduleNotFound(records.no_schedule(schedule_id))
        return self._schedules[schedule_id]

    async def schedules(self, *, channel: str = "", person: str = "") -> Sequence[Schedule]:
        """The schedules of a channel, of a person, or all, the first made first; at most 1,000."""
        fitting = [each for each in self._schedules.values() if channel in ("", each.order.channel) and person in ("", each.order.author.id)]
        return fitting[: records.FOUND]

    async def set_next(self, schedule_id: str, at: datetime | None) -> Schedule:
        """Say when a schedule runs next; None pauses it. Raises ScheduleNotFound."""
        self._schedules[schedule_id] = replace(await self.schedule(schedule_id), next=at)
        return self._schedules[schedule_id]

    async def remove_schedule(self, schedule_id: str) -> Schedule:
        """Remove a schedule. Raises ScheduleNotFound."""
        await self.schedule(schedule_id)
        return self._schedules.pop(schedule_id)

    async def due(self, prefixes: Sequence[str]) -> tuple[datetime, Sequence[Schedule]]:
        """The time, and the schedules of channels that begin with a prefix which are due by it or have a run that has begun."""
        at = now()
        mine = [each for each in self._schedules.values() if each.order.channel.startswith(tuple(prefixes))]
        return at, [each for each in mine if each.firing is not None or (each.next is not None and each.next <= at)]

    async def begin_fire(self, schedule: Schedule, incoming: Incoming, following: datetime | None) -> bool:
        """Begin the run that a schedule is due for, and say when the next one is; False where another worker has, or it was changed meanwhile."""
        found = self._schedules.get(schedule.id)
        if found is None or found.next != schedule.next or found.firing is not None:
            return False
        self._schedules[schedule.id] = replace(found, next=following, firing=incoming)
        return True

    async def fired(self, schedule_id: str, incoming_id: str) -> None:
        """Remember that the message of a run is in the queue."""
        found = self._schedules.get(schedule_id)
        if found is not None and found.firing is not None and found.firing.id == incoming_id:
            self._schedules[schedule_id] = replace(found, firing=None)
