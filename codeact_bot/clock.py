"""What a worker does by the clock: putting idle sandboxes to sleep, starting scheduled runs, removing leftovers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC
from types import TracebackType

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]

from codeact_bot.errors import CodeactError

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object]]


class Clock:
    """Calls upkeep at intervals while `async with` lasts; one call of each at a time, and a failed one is tried again at its next time."""

    def __init__(self) -> None:
        """Make a clock that stands still."""
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})

    def every(self, seconds: float, work: Work, name: str) -> None:
        """Call `work` every so many seconds."""

        async def tick() -> None:
            try:
                await work()
            except CodeactError as error:
                log.error("%s", error, extra={"action": name})
            except asyncio.CancelledError:
                return  # the clock has ended; APScheduler would log this as a fault of the work
            except Exception:
                log.exception("Upkeep failed", extra={"action": name})

        self._scheduler.add_job(tick, "interval", seconds=seconds, name=name, id=name)

    async def __aenter__(self) -> Clock:
        self._scheduler.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scheduler.shutdown(wait=False)
