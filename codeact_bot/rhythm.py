"""When a schedule runs: words or cron, in a time zone, as times to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The times of a schedule."""

    cron: str
    """Five fields, days of the week by name."""
    zone: str

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, in UTC; None where there is none.

        A time that the clocks show twice, on the night when they are set back, counts once, unless the hour is left open.
        """
        wanted = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        while True:
            found: datetime | None = trigger(self.cron, self.zone).get_next_fire_time(None, wanted)
            if found is None:
                return None
            again = found.fold == 1 and found.replace(fold=0).utcoffset() != found.utcoffset()
            if not again or not self.cron.split()[1].replace(",", "").isdigit():
                return found.astimezone(UTC)
            wanted = found.astimezone(UTC) + timedelta(seconds=1)

    def times(self, moment: datetime, count: int) -> list[datetime]:
        """Return the first times after a moment, in the rhythm's time zone."""
        return [at.astimezone(ZoneInfo(self.zone)) for at in islice(self._following(moment), count)]

    def latest(self, first: datetime, moment: datetime) -> datetime:
        """Return the last time from `first`, which is one, up to a moment, without walking through all between."""
        window = timedelta(minutes=1)
        at = first
        while moment - window > first:
            found = self.after(moment - window)
            if found is not None and found <= moment:
                at = found
                break
            window *= 2
        return [at, *takewhile(lambda each: each <= moment, self._following(at))][-1]

    def count(self, first: datetime, last: datetime, most: int) -> int:
        """Count the times from `first`, which is one, up to `last`, and no further than `most`."""
        return 1 + sum(1 for _ in islice(takewhile(lambda each: each <= last, self._following(first)), most - 1))

    def _following(self, moment: datetime) -> Iterator[datetime]:
        at = self.after(moment)
        while at is not None:
            yield at
            at = self.after(at)


@cache
def trigger(cron: str, zone: str) -> CronTrigger:
    """Return APScheduler's trigger; where day of the month and day of the week are both given, either will do, as crontab(5) says."""
    minute, hour, day, month, weekday = cron.split()
    given = {"minute": minute, "hour": hour, "month": month, "timezone": ZoneInfo(zone)}
    if day == "*" or weekday == "*":
        return CronTrigger(**given, day=day, day_of_week=weekday)
    return OrTrigger([CronTrigger(**given, day=day), CronTrigger(**given, day_of_week=weekday)])
