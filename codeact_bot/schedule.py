"""Schedules: made, paused and removed by people; their runs sent by whichever worker looks first, each once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from codeact_bot.errors import FileRefused, ScheduleRefused
from codeact_bot.phrases import read
from codeact_bot.ports import UNOBSERVED, Inbox, Observer, Store
from codeact_bot.rhythm import Rhythm
from codeact_bot.types import Access, Activity, Fire, Incoming, Order, Schedule, ThreadId, Work, now

log = logging.getLogger(__name__)

MOST = 20
"""Schedules of one person."""
SHORT = 6
"""Characters of a schedule's id, more where another has the same."""
SHORTEST = timedelta(minutes=5)
"""Time between two runs of a schedule at least."""
LOOKED_AT = 50
"""Coming times of a new schedule between which none may be shorter than that."""
COUNTED = 1_000
"""Missed runs that are counted."""
LATE = timedelta(minutes=1)
"""By so much a run may be late without a word."""
WHEN = "%a %-d %b %Y, %H:%M"


class Scheduler:
    """Sends the messages of schedules that are due; several workers may do so at once."""

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        access: Access,
        prefixes: Callable[[], Sequence[str]],
        grace: timedelta,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Send those of channels that begin with a prefix; a run that comes later than `grace` is only told of."""
        self._store = store
        self._inbox = inbox
        self._access = access
        self._prefixes = prefixes
        self._grace = grace
        self._observer = observer

    async def tick(self) -> None:
        """Send what is due. Raises StoreUnavailable."""
        at, due = await self._store.due(self._prefixes())
        for schedule in due:
            await self._send(schedule, at)

    async def _send(self, schedule: Schedule, at: datetime) -> None:
        """Begin a run, hand its message in, and remember that: whoever comes between does the rest, and the queue drops a second message."""
        incoming = schedule.firing
        if incoming is None:
            assert schedule.next is not None
            incoming, following = await self._run(schedule, schedule.next, at)
            if not await self._store.begin_fire(schedule, incoming, following):
                return
        try:
            with self._observer.during(Work(what=Activity.FIRE, thread=incoming.thread)) as tell:
                await self._inbox.accept(incoming)
                tell(incoming)
        except FileRefused as error:
            log.error("A run of schedule %s is left out: %s", schedule.id, error, extra={"action": "schedule", "conversation": incoming.thread})
        await self._store.fired(schedule.id, incoming.id)
        log.info("Schedule %s was due", schedule.id, extra={"action": "schedule", "conversation": incoming.thread})

    async def _run(self, schedule: Schedule, first: datetime, at: datetime) -> tuple[Incoming, datetime | None]:
        """Return the message of the last run that is due, and when the next one is."""
        rhythm = Rhythm(cron=schedule.cron, zone=schedule.zone)
        due = rhythm.latest(first, at)
        following = rhythm.after(at)
        if not self._access.admits(schedule.order.subjects):
            note = f"This schedule of {schedule.order.author.name} is paused: they may no longer use me here."
            return await message(self._store, schedule, due, f"at:{due.isoformat()}", note=note, skipped=True), None
        skipped = at - due > self._grace
        note = missed(schedule, rhythm.count(first, due, COUNTED) - 1, due, at, following, skipped=skipped)
        return await message(self._store, schedule, due, f"at:{due.isoformat()}", note=note, skipped=skipped), following


async def message(store: Store, schedule: Schedule, due: datetime, name: str, *, note: str = "", skipped: bool = False) -> Incoming:
    """Return the message of one run; `name` tells it from the schedule's other runs."""
    order = schedule.order
    thread = ThreadId(f"{order.home}{schedule.id}-{name.replace(':', '')}") if order.fresh else await store.conversation(order.home)
    return Incoming(
        id=f"schedule:{schedule.id}:{name}",
        thread=thread or ThreadId(order.home),
        author=order.author,
        text=order.question,
        at=due,
        place=order.place,
        fire=Fire(schedule=schedule.id, said=schedule.said, due=due, note=note, skipped=skipped),
    )


def missed(schedule: Schedule, before: int, due: datetime, at: datetime, following: datetime | None, *, skipped: bool) -> str:
    """Say which runs did not come in time and what is done about it; nothing where all is well."""
    when = local(due, schedule.zone)
    others = f" {before:,}{' or more' if before >= COUNTED - 1 else ''} before it {'was' if before == 1 else 'were'} left out, too." if before else ""
    if skipped:
        then = f" The next is due on {local(following, schedule.zone)}." if following else ""
        return f"No worker was running on {when}, when this was due, and it is too late to make up for it: press Retry to run it now.{others}{then}"
    if before or at - due > LATE:
        return f"This was due on {when} and comes late, since no worker was running.{others}"
    return ""


def local(at: datetime, zone: str) -> str:
    """Write a time by a zone's clocks: `Thu 26 Nov 2026, 09:00`."""
    return at.astimezone(ZoneInfo(zone)).strftime(WHEN)


class Schedules:
    """What people do with schedules."""

    def __init__(self, store: Store, zone: str) -> None:
        """Keep them in a store; `zone` is the time zone where nobody names one."""
        self._store = store
        self._zone = zone

    async def make(self, order: Order) -> Schedule:
        """Make a schedule. Raises ScheduleRefused."""
        phrase = read(order.when, order.zone or self._zone)
        if order.question and phrase.rest:
            raise ScheduleRefused(f"I understand “{phrase.said}”, but not “{phrase.rest}” after it.")
        question = order.question or phrase.rest
        if not question:
            raise ScheduleRefused(f"And what am I to do {phrase.said}? Write it behind the time.")
        check(phrase.rhythm)
        if len(await self._store.schedules(person=order.author.id)) >= MOST:
            raise ScheduleRefused(f"You have {MOST} schedules already, and that is as many as I keep for one person. Delete one first.")
        order = replace(order, question=question)
        at = phrase.rhythm.after(now())
        made = Schedule(id="", order=order, cron=phrase.rhythm.cron, zone=phrase.rhythm.zone, said=phrase.said, next=at)
        return await self._save(made)

    async def _save(self, schedule: Schedule) -> Schedule:
        """Keep a new schedule under a short id that follows from its wish; one that this wish has made already is returned as it is."""
        digest = hashlib.sha256(f"{schedule.order.channel}\0{schedule.order.name}".encode()).hexdigest()
        for length in range(SHORT, len(digest)):
            await self._store.save_schedule(replace(schedule, id=digest[:length]))
            kept = await self._store.schedule(digest[:length])
            if (kept.order.channel, kept.order.name) == (schedule.order.channel, schedule.order.name):
                return kept
        raise AssertionError("two wishes have the same digest")

    async def pause(self, schedule_id: str) -> Schedule:
        """Let a schedule rest. Raises ScheduleNotFound."""
        return await self._store.set_next(schedule_id, None)

    async def resume(self, schedule_id: str) -> Schedule:
        """Let a schedule run again from now on. Raises ScheduleNotFound."""
        found = await self._store.schedule(schedule_id)
        return await self._store.set_next(schedule_id, Rhythm(cron=found.cron, zone=found.zone).after(now()))

    async def run_now(self, schedule_id: str, name: str) -> Incoming:
        """Return the message of one run more. Raises ScheduleNotFound."""
        return await message(self._store, await self._store.schedule(schedule_id), now(), f"now:{name}")


def check(rhythm: Rhythm) -> None:
    """Raise ScheduleRefused for a rhythm that never comes, or comes too often."""
    times = rhythm.times(now(), LOOKED_AT)
    if not times:
        raise ScheduleRefused("That never comes: no day is like this. Choose another.")
    if any(later - earlier < SHORTEST for earlier, later in pairwise(times)):
        raise ScheduleRefused(f"That is too often: I run a schedule every {SHORTEST.seconds // 60} minutes at most.")
