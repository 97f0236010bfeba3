"""Edits at a platform's pace: the last state wins, and the final one arrives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds between attempts while a platform is down."""
ATTEMPTS = 20
"""Attempts to show progress before it waits for the next news; the final state is tried for as long as it takes."""


class TryLater(Exception):
    """The platform wants fewer requests."""

    def __init__(self, seconds: float) -> None:
        """Say when to come back."""
        super().__init__(f"The platform wants a pause of {seconds:.1f} s.")
        self.seconds = seconds


class PlatformDown(Exception):
    """The platform cannot be reached, or fails itself."""


class Pace:
    """Calls `write`, which shows whatever is newest, at most every so many seconds and never twice at once.

    `write` may raise TryLater and PlatformDown. There is a task only while something is to be written.
    """

    def __init__(self, write: Callable[[], Awaitable[None]], every: float) -> None:
        """Write at most every `every` seconds."""
        self._write = write
        self._every = every
        self._news = asyncio.Event()
        self.hurry = asyncio.Event()
        """Set when the final state is on its way, and progress no longer matters."""
        self._task: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Say that there is something new to show."""
        self._news.set()
        if self._task is None and not self.hurry.is_set():
            self._task = asyncio.create_task(self._progress(), name="pace")

    async def finish(self) -> None:
        """Show the newest state, without waiting for the pace, for as long as it takes; there will be no other."""
        await self.aclose()
        wait = FIRST_WAIT
        while True:
            rest = await self._attempt(wait)
            if rest is None:
                return
            await asyncio.sleep(rest)
            wait = min(LONGEST_WAIT, wait * 2)

    async def aclose(self) -> None:
        """Stop; a write that is under way comes to its end."""
        self.hurry.set()
        if self._task is not None:
            await self._task

    async def _progress(self) -> None:
        wait, attempts = FIRST_WAIT, 0
        try:
            while self._news.is_set() and not self.hurry.is_set() and attempts < ATTEMPTS:
                self._news.clear()
                rest = await self._attempt(wait)
                if rest is None:
                    wait, attempts = FIRST_WAIT, 0
                else:
                    self._news.set()
                    wait, attempts = min(LONGEST_WAIT, wait * 2), attempts + 1
                await self._pause(self._every if rest is None else rest)
        except Exception:
            log.exception("Showing an answer's progress failed", extra={"action": "show"})
        finally:
            self._task = None

    async def _attempt(self, wait: float) -> float | None:
        """Write; return the seconds to wait before it is tried again, None where it worked."""
        try:
            await self._write()
        except TryLater as error:
            return error.seconds
        except PlatformDown as error:
            log.warning("%s Trying again in %.0f s.", error, wait, extra={"action": "show"})
            return wait
        return None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.hurry.wait()
        except TimeoutError:
            pass
