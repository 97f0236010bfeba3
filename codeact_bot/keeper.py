"""Saving a conversation's state beside its turn: after each step, while the model thinks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from codeact_bot.errors import CodeactError, FileRefused, LeaseLost, SandboxLost, StoreUnavailable
from codeact_bot.ports import Observer, Store
from codeact_bot.thread_session import ThreadSession
from codeact_bot.types import Activity, Event, Lease, Notice, Snapshot, Work

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds between attempts to save a state while the database is away."""
ATTEMPTS = 10
NOT_KEPT = "This conversation's variables are not kept beyond this session: {}"


class Keeper:
    """Keeps the state of one conversation while its lease lasts; leaving `async with` gives up what has not been saved."""

    def __init__(
        self, store: Store, lease: Lease, session: ThreadSession, show: Callable[[Event], Awaitable[None]], observer: Observer
    ) -> None:
        """Save under the lease; `show` is told, once, why the state cannot be kept."""
        self._store = store
        self._lease = lease
        self._session = session
        self._show = show
        self._observer = observer
        self._wanted = False
        self._told = False
        self._saved: Snapshot | None = None
        self._attempts = 0
        self._task: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Begin to save the state as it is now. A step that begins meanwhile waits until the sandbox has looked at everything, and no longer."""
        self._wanted = self._session.unsaved = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name=f"state {self._lease.thread}")

    async def kept(self) -> Snapshot | None:
        """Save the state as it is now and return it; None where it cannot be saved."""
        self._saved = None
        self.keep()
        assert self._task is not None
        await asyncio.wait([self._task])
        return self._saved

    async def finish(self, turn_id: str) -> None:
        """Wait until the last state asked for is saved, or cannot be, and keep it as that of the turn."""
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._saved:
            await self._store.keep_state(self._lease, turn_id)

    async def _work(self) -> None:
        while self._wanted and self._session.started:
            self._wanted = False
            try:
                await self._attempt()
            except Exception:
                log.exception("Saving the state of %s failed", self._lease.thread, extra={"action": "keep"})

    async def _attempt(self) -> None:
        try:
            await self._save()
        except FileRefused as error:
            self._session.kept(())
            await self._tell(NOT_KEPT.format(error))
        except StoreUnavailable as error:
            log.warning("The state of %s is not saved yet: %s", self._lease.thread, error, extra={"action": "keep"})
            await self._later()
        except (LeaseLost, SandboxLost) as error:
            log.info("The state of %s was not saved: %s", self._lease.thread, error, extra={"action": "keep"})
        except CodeactError as error:
            log.error("The state of %s was not saved: %s", self._lease.thread, error, extra={"action": "keep"})

    async def _later(self) -> None:
        """Save again in a while, unless that was tried too often."""
        self._attempts += 1
        self._wanted = self._wanted or self._attempts < ATTEMPTS
        await asyncio.sleep(AGAIN)

    async def _save(self) -> None:
        with self._observer.during(Work(what=Activity.SNAPSHOT, thread=self._lease.thread)) as tell:
            state = await self._session.snapshot()
            await self._store.save_snapshot(self._lease, state)
            tell(state)
        self._session.kept(part.digest for part in state.parts)
        self._saved, self._attempts = state, 0
        self._session.unsaved = self._wanted

    async def _tell(self, text: str) -> None:
        if not self._told:
            self._told = True
            await self._show(Notice(text=text))

    async def __aenter__(self) -> Keeper:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
