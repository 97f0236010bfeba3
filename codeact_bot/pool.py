"""Unused sandboxes, started ahead of need."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from codeact_bot.errors import CodeactError
from codeact_bot.ports import UNOBSERVED, Observer, Sandbox, Session
from codeact_bot.types import Activity, ThreadId, Work

log = logging.getLogger(__name__)


class Pool:
    """Unused sandboxes, started ahead of need; one that was handed out never comes back."""

    def __init__(self, sandbox: Sandbox, size: int, observer: Observer = UNOBSERVED) -> None:
        self._sandbox = sandbox
        self._size = size
        self._observer = observer
        self._ready: deque[Session] = deque()
        self._filling: asyncio.Task[None] | None = None

    def fill(self) -> None:
        """Top the pool up in the background."""
        if len(self._ready) < self._size and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill(), name="pool")

    async def take(self, label: str) -> Session:
        """Hand out an unused sandbox, or start one."""
        while self._ready:
            session = self._ready.popleft()
            self.fill()
            if session.alive:
                return session
            await session.aclose()
        with self._observer.during(Work(what=Activity.START, thread=ThreadId(label))):
            session = await self._sandbox.start(label)
        self.fill()
        return session

    @property
    def ready(self) -> int:
        """How many are waiting to be handed out."""
        return len(self._ready)

    async def filled(self) -> None:
        """Wait until the filling under way is over."""
        if self._filling is not None:
            await asyncio.wait([self._filling])

    async def _fill(self) -> None:
        try:
            while len(self._ready) < self._size:
                with self._observer.during(Work(what=Activity.START)):
                    self._ready.append(await self._sandbox.start("pool"))
        except CodeactError as error:
            log.warning("Could not fill the pool of sandboxes: %s", error, extra={"action": "pool"})
        except Exception:
            log.exception("Filling the pool of sandboxes failed", extra={"action": "pool"})

    async def aclose(self) -> None:
        """Remove all unused sandboxes."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])
        await asyncio.gather(*(session.aclose() for session in self._ready))
        self._ready.clear()
