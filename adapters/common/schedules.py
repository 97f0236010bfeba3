"""Schedules in a chat: made, listed, paused, run and deleted by words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from adapters.common.access import Visitor, may_steer
from adapters.common.counter import Counter
from adapters.common.recording import record
from adapters.render import one_line
from codeact_bot.types import Access, Author, Deed, Order, Schedule

CHANGES = ("pause", "resume", "run", "delete")
REFUSED = "Sorry, only the person who made a schedule and admins may change it."
NONE = "There are no schedules in this channel. Make one: `/codeact schedule every weekday at 9: how many tickets are open?`"
WHICH = "Which one? `/codeact schedule list` shows the names: `/codeact schedule {} 3f9a1c`."
LISTED = 30
"""Schedules that a list shows."""
TIMES = 3
"""Coming times that a new schedule is confirmed with."""
_BEGINS = re.compile(
    r"schedule:?\s+(?=(?:every|each|daily|hourly|weekly|monthly|weekdays?|weekends?|on\s+the|on\s+\w+days?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|the\s+\w+\s+of"
    r"|`?[\d*][\d*/,-]*\s+[\d*][\d*/,-]*\s)\b)|schedules?\s+(?=(?:list|pause|resume|run|delete)\b)|schedules?(?=$)",
    re.IGNORECASE,
)


def wish(text: str) -> str | None:
    """Return what stands after `schedule` in a message that is about schedules; None for any other message, such as one on a train's schedule."""
    found = _BEGINS.match(text.strip())
    return text.strip()[found.end() :] if found else None


class Schedules:
    """Does what people want of schedules, and says so as Markdown."""

    def __init__(self, counter: Counter, access: Access, tame: Callable[[str], str]) -> None:
        """Work at a counter's desk; `tame` defuses what people wrote."""
        self._counter = counter
        self._access = access
        self._tame = tame

    async def do(self, text: str, order: Order, who: Visitor) -> str:
        """Do what stands after `schedule`; `order` says who wants it and where answers go. Raises ScheduleRefused, ScheduleNotFound."""
        word, _, rest = text.strip().partition(" ")
        if word.lower() in ("", "list"):
            return self._listed(await self._counter.desk.schedules(order.channel))
        if word.lower() in CHANGES:
            return await self._change(word.lower(), rest.strip().strip("`"), order, who)
        return await self.make(replace(order, when=text))

    async def settled(self, text: str, order: Order) -> bool:
        """Whether a wish that is found late has been heard before, or is better not followed any more: only a new schedule is made late."""
        first = text.split(maxsplit=1)[:1]
        if not first or first[0].lower() in ("list", *CHANGES):
            return True
        return any(each.order.name == order.name for each in await self._counter.desk.schedules(order.channel))

    async def make(self, order: Order) -> str:
        """Make a schedule. Raises ScheduleRefused."""
        made = await self._counter.desk.order(order)
        await self._recorded(order.author, made, "made")
        times = ", ".join(f"{at:%a %-d %b %H:%M}" for at in self._counter.desk.upcoming(made, TIMES))
        return (
            f"**{made.said}**: {self._tame(one_line(made.question, 300))}\n"
            f"Next: {times}. The answers come {'to this channel' if order.fresh else 'here'}. To end it: `/codeact schedule delete {made.id}`."
        )

    async def _change(self, verb: str, name: str, order: Order, who: Visitor) -> str:
        if not name:
            return WHICH.format(verb)
        desk = self._counter.desk
        found = await desk.schedule(name)
        if not may_steer(self._access, who, found.order.author, ()):
            return REFUSED
        question = self._tame(one_line(found.question, 100))
        await self._recorded(order.author, found, verb)
        match verb:
            case "pause":
                await desk.pause(name)
                return f"Paused: {question}. `/codeact schedule resume {name}` lets it run again."
            case "resume":
                (at,) = desk.upcoming(await desk.resume(name), 1)
                return f"It runs again, next on {at:%a %-d %b %H:%M}: {question}"
            case "run":
                await self._counter.inbox.accept(await desk.run_now(name, order.name))
                return f"I am on it: {question}"
        await desk.remove_schedule(name)
        return f"Deleted: {question}"

    async def _recorded(self, author: Author, schedule: Schedule, what: str) -> None:
        await record(self._counter.desk, Deed.SCHEDULE, author, subject=schedule.id, text=f"{what}: {schedule.said}: {schedule.question}")

    def _listed(self, found: Sequence[Schedule]) -> str:
        more = [f"… {len(found) - LISTED:,} more"] if len(found) > LISTED else []
        return "\n".join([*map(self._line, found[:LISTED]), *more]) or NONE

    def _line(self, schedule: Schedule) -> str:
        at = self._counter.desk.upcoming(schedule, 1)
        state = f"next {at[0]:%a %-d %b %H:%M}" if at else "paused"
        who, question = self._tame(one_line(schedule.order.author.name, 30)), self._tame(one_line(schedule.question, 100))
        return f"- `{schedule.id}` **{schedule.said}**, {state}, {who}: {question}"
