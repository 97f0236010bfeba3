"""The sums of runs by weeks, in MongoDB: kept of weeks that are over, and let go of by whoever changes a turn of such a week.

A turn that has ended counts until it is undone or removed. Each of these changes is written under a fence: a time, by the server's clock, after which
the server refuses it, and until which no sums of the turn's week are made. In the week itself the fence is the week's end, and costs nothing; later,
whoever wants to change a turn first lets go of the sums and puts up a new fence, by one write. So what is kept is always what the runs come to,
whichever worker dies or stands still in between; and sums that are not there are no loss, since the runs are read then.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pymongo import ReturnDocument

from codeact_bot.store import cells, documents, queries
from codeact_bot.store.cells import Filters, Span
from codeact_bot.store.documents import Document
from codeact_bot.store.totals import SUMMED, Sums
from codeact_bot.types import By, Query, now

T = TypeVar("T")

LAYOUT = hashlib.sha256(" ".join(SUMMED).encode()).hexdigest()[:8]
"""What sums are kept of, in which order; those of a version that kept others are made again."""
FENCE = 60.0
"""Seconds in which a change has to reach the server once the sums are let go of."""
SETTLED = 60.0
"""Seconds that a server may take over a change that it has accepted."""
MAKING = 300.0
"""Seconds after which another worker adds up what one has begun to."""


class Tallies:
    """The sums of whole weeks."""

    def __init__(self, database: Any) -> None:
        """Take the driver's database."""
        self._turns, self._weeks, self._tallies = database["turns"], database["weeks"], database["tallies"]
        self._fences: dict[str, datetime] = {}

    async def changing(self, began: datetime, turn: Document, change: Callable[[Document], Awaitable[T | None]]) -> T | None:
        """Change a turn that began then, by a filter that matches as long as no sums have it; None where there is none such any more."""
        week = cells.week_of(began)
        fence = self._fences.get(week, cells.bounds(week)[1])
        while (done := await change({**turn, "$expr": {"$lt": ["$$NOW", fence]}})) is None:
            if await self._turns.find_one(turn, {"_id": 1}) is None:
                return None
            fence = self._fences[week] = await self._let_go(week)
        return done

    async def _let_go(self, week: str) -> datetime:
        """Remove the sums of a week; returns until when its turns may be changed."""
        until = {"$max": [{"$add": ["$$NOW", round(FENCE * 1000)]}, "$until", cells.bounds(week)[1]]}
        found = await self._weeks.find_one_and_update(
            {"_id": week},
            [{"$set": {"until": until}}, {"$unset": ["sums", "making"]}],
            upsert=True,
            projection={"until": 1},
            return_document=ReturnDocument.AFTER,
        )
        await self._tallies.delete_many({"week": week})
        at: datetime = found["until"]
        return at

    async def make(self) -> int:
        """Add up the weeks that are over and that nobody changes; returns how many those were."""
        count = 0
        for week in await self._unmade():
            token = f"{LAYOUT}-{secrets.token_hex(8)}"
            if await self._take(week, token):
                count += await self._add_up(week, token)
        return count

    async def _unmade(self) -> Sequence[str]:
        """Return the weeks with runs that are not added up, and those whose runs are gone."""
        first = await self._turns.find_one({"state": "ended"}, {"started": 1}, sort=[("started", 1)])
        known = {each["_id"]: each.get("sums") async for each in self._weeks.find({}, {"sums": 1})}
        weeks = [*cells.weeks(first["started"], now() - cells.WEEK)] if first else []
        return [week for week in sorted({*weeks, *known}) if not (known.get(week) or "").startswith(LAYOUT)]

    async def _take(self, week: str, token: str) -> bool:
        """Begin to add a week up; False where it is not over, or somebody changes it, or adds it up."""
        await self._weeks.update_one({"_id": week}, {"$setOnInsert": {"until": cells.bounds(week)[1]}}, upsert=True)
        settled = {"$lt": [{"$add": ["$until", round(SETTLED * 1000)]}, "$$NOW"]}
        free = {"$not": [{"$gt": ["$making.until", "$$NOW"]}]}
        making = {"token": token, "until": {"$add": ["$$NOW", round(MAKING * 1000)]}}
        unmade = {"_id": week, "sums": {"$not": {"$regex": f"^{LAYOUT}"}}, "$expr": {"$and": [settled, free]}}
        taken = await self._weeks.update_one(unmade, [{"$set": {"making": making}}])
        return bool(taken.modified_count)

    async def _add_up(self, week: str, token: str) -> int:
        """Keep a week's sums, unless a turn of it was changed meanwhile."""
        since, until = cells.bounds(week)
        found = self._turns.find(queries.counted(Query(since=since, until=until)), dict.fromkeys(cells.FIELDS, 1))
        made = await asyncio.to_thread(cells.cells, [each async for each in found])
        rows = [{"_id": _name(week, token, filters), "week": week, "groups": groups} for filters, groups in made.items()]
        await self._tallies.delete_many({"week": week})
        if fitting := [row for row in rows if documents.size(row) <= documents.LARGEST]:
            await self._tallies.insert_many(fitting)
        kept = await self._weeks.update_one({"_id": week, "making.token": token}, {"$set": {"sums": token}, "$unset": {"making": ""}})
        if not kept.matched_count:
            await self._tallies.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
        return int(kept.matched_count)

    async def kept(self, filters: Filters, since: datetime | None, until: datetime | None, by: By) -> tuple[Sums, list[Span]]:
        """Return the sums of the weeks within a time that are kept, and what is left of the time."""
        made = {each["_id"]: each["sums"] async for each in self._weeks.find({"sums": {"$regex": f"^{LAYOUT}"}}, {"sums": 1})}
        within = {week: token for week, token in made.items() if _within(week, since, until)}
        names = [_name(week, token, filters) for week, token in within.items()]
        sums, found = Sums(by), dict.fromkeys(within, False)
        async for each in self._tallies.find({"_id": {"$in": names}}, {"week": 1, f"groups.{by}": 1}):
            sums.merge(cells.unpack(each["groups"][str(by)]))
            found[each["week"]] = True
        return sums, cells.between(found, since, until)


def _within(week: str, since: datetime | None, until: datetime | None) -> bool:
    begins, ends = cells.bounds(week)
    return (since is None or since <= begins) and (until is None or ends <= until)


def _name(week: str, token: str, filters: Filters) -> str:
    return f"{week}/{token}/{cells.key(filters)}"
