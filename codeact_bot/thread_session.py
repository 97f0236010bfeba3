"""A thread's session, which outlives its sandbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from codeact_bot.errors import FileRefused, SandboxLost, StoreUnavailable
from codeact_bot.pool import Pool
from codeact_bot.ports import Observer, Printed, Session, Store
from codeact_bot.types import Activity, Bounds, Execution, File, Snapshot, Status, ThreadId, Work

log = logging.getLogger(__name__)

SNAPSHOT_LIMIT = 256 * 1024 * 1024
"""Bytes of one thread's saved state; larger state is not kept, and the thread says so."""
AGAIN = 0.5
"""Seconds between attempts to load a state while the database is away."""
SNAPSHOT_WAIT = 3.0
"""Seconds that code waits for a snapshot before it, which is then given up, and that an answer waits for a restore."""
STARTS = 3
"""Sandboxes that are started at most where one after the other is lost before it is ready."""
GONE = "The sandbox was gone and a new one was started."
GONE_KEPT = "The sandbox was gone and a new one was started, with the variables and files as they were saved."
STATE_LOST = "The variables and files of earlier steps are lost."
LISTED = 30
"""Names of lost variables that are told."""
KILLED = "The Python process died, and the variables of earlier steps with it; the files are still there."
STATE_BEHIND = "The saved state is restored, but what the last steps did to variables and files is lost."


class ThreadSession:
    """A thread's session. It outlives its sandbox: the next call after a loss gets a new one with the last saved state."""

    def __init__(self, thread: ThreadId, pool: Pool, store: Store, observer: Observer) -> None:
        self._thread = thread
        self._pool = pool
        self._store = store
        self._observer = observer
        self._starting: asyncio.Task[Session] | None = None
        self._unsaved: dict[str, File] = {}
        self._notes: tuple[str, ...] = ()
        self._replacing = False
        self.lost = ""
        """Which variables and files of the turns before are gone, in a sentence for people; whoever tells them empties it."""
        self._known: frozenset[str] = frozenset()
        self._covered: frozenset[str] = frozenset()
        self.mark: str | None = ""
        """The last step whose effects the sandbox holds, as `step_mark` names it; None from when code runs until its step is saved."""
        self._order = asyncio.Lock()
        self.unsaved = False
        """Whether it holds more than the store does."""
        self.users = 0
        self.used = time.monotonic()

    def warm(self) -> None:
        """Begin to start the sandbox, if none is running."""
        if self._starting is None or _over(self._starting):
            self._replacing = self._replacing or (self._starting is not None and not _failed(self._starting))
            self._starting = asyncio.create_task(self._start(), name=f"start {self._thread}")

    @property
    def alive(self) -> bool:
        """True as long as a next call can be served."""
        return True

    async def run(self, code: str, *, seconds: float, bounds: Bounds, printed: Printed) -> Execution:
        """Run a block; a sandbox that is gone is replaced first, and the execution's notes say so."""
        inner = await self._session()
        await self._hurry(inner)
        async with self._order:
            notes, self._notes = self._notes, ()
            self.mark = None
            execution = await inner.run(code, seconds=seconds, bounds=bounds, printed=printed)
        if execution.status is Status.LOST:
            await inner.aclose()
            execution = replace(execution, state_lost=False)  # what the next sandbox gets of it is said there
        elif execution.state_lost:
            self.lost = KILLED
        return replace(execution, notes=notes + execution.notes)

    async def _hurry(self, inner: Session) -> None:
        """Let a snapshot under way come to its end, for a while."""
        try:
            async with asyncio.timeout(SNAPSHOT_WAIT), self._order:
                pass
        except TimeoutError:
            await inner.interrupt()

    async def put(self, file: File) -> None:
        """Write a file; it is written again should the sandbox be lost before the next snapshot."""
        await (await self._session()).put(file)
        self._unsaved[file.name] = file

    async def get(self, name: str, *, limit: int) -> File:
        """Read a file."""
        return await (await self._session()).get(name, limit=limit)

    async def files(self) -> Sequence[tuple[str, int]]:
        """List the working folder."""
        return await (await self._session()).files()

    async def snapshot(self, *, limit: int = SNAPSHOT_LIMIT, known: Collection[str] = (), taken: Callable[[], None] = lambda: None) -> Snapshot:
        """Capture the state, before any code that is to run next; parts that the last saved one has, too, come without their bytes."""
        at = asyncio.Event()
        async with self._order:
            session, mark = await self._session(), self.mark or ""
            self._covered = frozenset(self._unsaved)
            taking = asyncio.create_task(session.snapshot(limit=limit, known=self._known.union(known), taken=at.set))
            taking.add_done_callback(lambda _: at.set())
            try:
                await at.wait()
            except asyncio.CancelledError:
                taking.cancel()
                raise
        taken()
        return replace(await taking, mark=mark)

    def kept(self, digests: Iterable[str]) -> None:
        """Note which parts the store has, now that the state is saved."""
        self._known = frozenset(digests)
        for name in self._covered if self._known else ():
            self._unsaved.pop(name, None)

    async def restore(self, snapshot: Snapshot) -> Sequence[str]:
        """Bring a state back."""
        return await (await self._session()).restore(snapshot)

    async def interrupt(self) -> None:
        """Stop what runs, if anything does."""
        if self._starting is not None and self._starting.done() and not _over(self._starting):
            await self._starting.result().interrupt()

    async def renew(self) -> bool:
        """Put an empty sandbox in the place of this one; returns whether this one held a saved state."""
        if self._starting is not None:
            await asyncio.wait([self._starting])
        held = bool(self._known)
        await self.revert()
        self._starting = asyncio.create_task(self._start(empty=True), name=f"start {self._thread}")
        return held

    async def revert(self) -> None:
        """Remove the sandbox; the next call gets one with the last saved state, and with nothing else."""
        await self.aclose()
        self._unsaved.clear()
        self._notes, self.lost, self._replacing = (), "", False

    async def woken(self) -> None:
        """Wait, for a while, until it is known what of a saved state is lost; where no code has run, nothing can be."""
        if self._starting is not None and self.mark:
            await asyncio.wait([self._starting], timeout=SNAPSHOT_WAIT)

    @property
    def started(self) -> bool:
        """Whether a sandbox is running."""
        return self._starting is not None and self._starting.done() and not _over(self._starting)

    async def aclose(self) -> None:
        """Remove the sandbox."""
        starting, self._starting = self._starting, None
        if starting is None:
            return
        starting.cancel()
        await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().aclose()

    async def _session(self) -> Session:
        self.warm()
        if self._starting is None:
            raise SandboxLost("The session is closed.")
        return await asyncio.shield(self._starting)

    async def _start(self, *, empty: bool = False) -> Session:
        """Start a sandbox with the saved state; one that is taken away meanwhile is followed by another."""
        for _ in range(STARTS - 1):
            try:
                return await self._begin(empty=empty)
            except SandboxLost as error:
                log.warning("A sandbox of %s was lost while it started: %s", self._thread, error, extra={"action": "start"})
        return await self._begin(empty=empty)

    async def _begin(self, *, empty: bool) -> Session:
        session = await self._pool.take(self._thread)
        try:
            notes = () if empty else await self._restore(session)
            for file in self._unsaved.values():
                await session.put(file)
        except BaseException:
            await session.aclose()
            raise
        gone = () if not self._replacing else (GONE,) if notes or not self._known else (GONE_KEPT,)
        self._notes, self._replacing = (*gone, *notes), False
        self.lost = " ".join(dict.fromkeys(each for each in (self.lost, *notes) if each))
        return session

    async def _load(self) -> Snapshot | None:
        """Load the saved state; a database that is away is waited for."""
        while True:
            try:
                return await self._store.load_snapshot(self._thread)
            except StoreUnavailable as error:
                log.warning("The state of %s cannot be loaded yet: %s", self._thread, error, extra={"action": "restore"})
                await asyncio.sleep(AGAIN)

    async def _restore(self, session: Session) -> tuple[str, ...]:
        """Bring the saved state back; returns sentences on what of it could not be."""
        work = Work(what=Activity.RESTORE, thread=self._thread)
        snapshot = await self._load()
        if snapshot is None:
            return ()
        if not snapshot.parts:
            return (STATE_LOST,)
        try:
            with self._observer.during(work):
                missing = (*snapshot.dropped, *await session.restore(snapshot))
        except FileRefused as error:
            return (f"{error} {STATE_LOST}",)
        self._known = frozenset(part.digest for part in snapshot.parts)
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        without = (f"The saved state was restored, without {', '.join(missing[:LISTED])}{more}.",) if missing else ()
        return (*without, STATE_BEHIND) if snapshot.behind else without


def _over(starting: asyncio.Task[Session]) -> bool:
    """Whether a start failed, or its sandbox died since."""
    return starting.done() and (_failed(starting) or not starting.result().alive)


def _failed(starting: asyncio.Task[Session]) -> bool:
    return starting.cancelled() or starting.exception() is not None
