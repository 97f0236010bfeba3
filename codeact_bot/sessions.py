"""A warm sandbox per thread, taken from a pool of unused ones and replaced when it is lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from codeact_bot.errors import CodeactError, StoreUnavailable
from codeact_bot.pool import Pool
from codeact_bot.ports import UNOBSERVED, Observer, Sandbox, Store
from codeact_bot.thread_session import ThreadSession
from codeact_bot.types import Lease, ThreadId

log = logging.getLogger(__name__)

class Sessions:
    """The sessions of all threads that this worker serves."""

    def __init__(self, sandbox: Sandbox, store: Store, *, pool: int, observer: Observer = UNOBSERVED) -> None:
        self._pool = Pool(sandbox, pool, observer)
        self._store = store
        self._observer = observer
        self._threads: dict[ThreadId, ThreadSession] = {}

    def of(self, thread: ThreadId) -> ThreadSession:
        """Return the thread's session, starting its sandbox in the background."""
        session = self._threads.setdefault(thread, ThreadSession(thread, self._pool, self._store, self._observer))
        session.warm()
        return session

    @asynccontextmanager
    async def hold(self, lease: Lease) -> AsyncIterator[ThreadSession]:
        """Hand out the session of a lease's thread, and keep it awake meanwhile.

        A sandbox that does not hold exactly what ran in the thread so far, since another worker went on with it, gives way to a new one.
        """
        old = self._threads.get(lease.thread)
        if old is not None and old.mark != lease.ran:
            log.info("The sandbox of %s is out of date and is replaced.", lease.thread, extra={"action": "hold"})
            await self.forget(lease.thread)
        session = self.of(lease.thread)
        session.mark = lease.ran
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            session.used = time.monotonic()

    def count(self) -> tuple[int, int]:
        """How many sandboxes wait in the pool, and how many conversations have one."""
        return self._pool.ready, sum(session.started for session in self._threads.values())

    async def hibernate(self, seconds: float) -> int:
        """Remove the sandboxes that nobody has used for so long; the next message wakes them. Returns how many that were."""
        until = time.monotonic() - seconds
        idle = [thread for thread, session in self._threads.items() if not session.users and session.used <= until]
        return sum(await asyncio.gather(*(self._sleep(thread, self._threads[thread]) for thread in idle)))

    async def _sleep(self, thread: ThreadId, session: ThreadSession) -> bool:
        """Remove a sandbox whose state is saved, or cannot be; False where it may be later, or where the session is needed again."""
        try:
            if session.unsaved and session.started:
                await self._store.save_idle(thread, await session.snapshot())
        except StoreUnavailable as error:
            log.warning("The sandbox of %s stays awake until its state is saved: %s", thread, error, extra={"action": "hibernate"})
            return False
        except CodeactError as error:
            log.warning("The state of %s is lost with its sandbox: %s", thread, error, extra={"action": "hibernate"})
        if session.users:
            return False
        await self.forget(thread)
        return True

    async def forget(self, thread: ThreadId) -> None:
        """Close a thread's session."""
        session = self._threads.pop(thread, None)
        if session is not None:
            await session.aclose()

    async def __aenter__(self) -> Sessions:
        self._pool.fill()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.gather(*(session.aclose() for session in self._threads.values()), self._pool.aclose())
        self._threads.clear()
