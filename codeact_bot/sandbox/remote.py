"""A Session over any Channel: what every sandbox back end shares. Everything that the channel brings is checked."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from codeact_bot.errors import FileRefused, ProtocolViolated, SandboxLost
from codeact_bot.ports import Channel, Printed
from codeact_bot.sandbox import states
from codeact_bot.sandbox.answers import Answers
from codeact_bot.sandbox.bootstrap import worker_command
from codeact_bot.sandbox.results import MESSAGE, NAMES, Collector
from codeact_bot.sandbox.wire import CHUNK, Decoder, Frame, check_name, document, encode, parse, sizes, text, texts
from codeact_bot.types import Bounds, Execution, File, Snapshot

__all__ = ["RemoteSession", "Startup", "worker_command"]

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds beyond a request's own limit after which a silent worker counts as lost."""
STATE_SECONDS = 60.0
"""Seconds for a snapshot or a restore."""
LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """What a worker is told when it starts."""

    memory: int = 0
    """Bytes, named to people when they run out; the back end enforces the limit."""
    rlimits: Mapping[str, int] = field(default_factory=dict)
    """Limits for the processes that run code, by their names in lower case: `{"nofile": 1024}`."""
    alone: bool = False
    """True where all processes of the worker's user id belong to the sandbox; a worker that is process 1 need not be told."""


class RemoteSession:
    """Talks to one worker. A reader takes frames off the channel, and each request waits for those that carry its number."""

    def __init__(self, channel: Channel, patience: float = PATIENCE) -> None:
        self._channel, self._patience = channel, patience
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Answers] = {}
        self._busy, self._saving = asyncio.Lock(), asyncio.Lock()
        self._running = self._snapping = 0
        self._failure: Exception | None = None
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, channel: Channel, startup: Startup | None = None, *, seconds: float = 30.0, patience: float = PATIENCE
    ) -> Self:
        """Greet the worker at the other end, which has `seconds` for its start. Raises SandboxLost; the channel is closed then."""
        session = cls(channel, patience)
        session._reader = asyncio.create_task(session._read())
        told = startup or Startup()
        try:
            await session._ask("start", {"memory": told.memory, "rlimits": dict(told.rlimits), "alone": told.alone}, seconds=seconds)
        except BaseException:
            await session.aclose()
            raise
        return session

    @property
    def alive(self) -> bool:
        """False once the sandbox is known to be gone."""
        return self._failure is None

    async def run(self, code: str, *, seconds: float, bounds: Bounds, printed: Printed) -> Execution:
        """Run a block to its end or for `seconds`; whatever it does is a result. A dead sandbox gives status `lost`."""
        collector = Collector(bounds, printed)
        task = _begun(self._run(code, seconds, bounds, collector))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The conversation goes on to its end without the caller, so that the session stays usable.
            collector.mute()
            if not task.done():
                await self._stop(collector.number)
            raise

    async def _run(self, code: str, seconds: float, bounds: Bounds, collector: Collector) -> Execution:
        try:
            async with self._busy:
                await self._converse(code, seconds, bounds, collector)
            execution = collector.execution(*await self._fetch(collector.changed, bounds))
        except (SandboxLost, ProtocolViolated) as exc:
            await self._fail(exc)
            return collector.lost(str(exc))
        if collector.failure is not None:
            raise collector.failure
        return execution

    async def _converse(self, code: str, seconds: float, bounds: Bounds, collector: Collector) -> None:
        if collector.muted:
            raise asyncio.CancelledError
        fields = {"seconds": seconds, "output": bounds.output, "value": bounds.value, "files": bounds.files, "images": bounds.images}
        fields |= {"image_bytes": bounds.image_bytes, "tables": bounds.tables, "rows": bounds.table_rows, "columns": bounds.table_columns}
        async with self._request("run", fields, code.encode("utf-8", "replace"), seconds=seconds) as answers:
            collector.number = self._running = answers.number
            try:
                while not await self._heard(await answers.next(), collector):
                    pass
            finally:
                self._running = 0

    async def _heard(self, frame: Frame, collector: Collector) -> bool:
        """Take in one frame of a run; returns True after the last."""
        if frame.type == "call":
            await self._send(Frame(type="return", id=frame.id, body=b'{"error":"there are no tools here"}'))
            return False
        done = await collector.take(frame)
        if collector.failure is not None and not collector.muted:
            collector.mute()
            await self._stop(frame.id)
        return done

    async def _fetch(self, changed: Sequence[tuple[str, int]], bounds: Bounds) -> tuple[tuple[File, ...], tuple[str, ...]]:
        """Bring the files that the code made, as far as the bounds allow; returns sentences on those left out."""
        files: list[File] = []
        notes: list[str] = []
        for name, size in changed:
            if size > bounds.file_bytes:
                notes.append(f"The file {name} of {size:,} bytes was left out: the limit is {bounds.file_bytes:,} bytes.")
                continue
            try:
                files.append(await self._get(name, bounds.file_bytes))
            except FileRefused as exc:
                notes.append(str(exc))
        return tuple(files), tuple(notes)

    async def put(self, file: File) -> None:
        """Write a file into the working folder. Raises FileRefused, SandboxLost."""
        await self._whole(self._put(file))

    async def _put(self, file: File) -> None:
        name, data = check_name(file.name), file.data
        if data is None:
            raise FileRefused(f"The file {name} has no bytes here; load it from the store first.")
        for offset in range(0, max(1, len(data)), CHUNK):
            piece = data[offset : offset + CHUNK]
            fields = {"name": name, "offset": offset, "last": offset + CHUNK >= len(data)}
            answer = await self._ask("put", fields, piece)
            if error := answer.text("error"):
                raise FileRefused(f"The file {name} could not be written into the sandbox: {error}.")

    async def get(self, name: str, *, limit: int) -> File:
        """Read a file of at most `limit` bytes from the working folder. Raises FileRefused, SandboxLost."""
        return await self._whole(self._get(check_name(name), limit))

    async def _get(self, name: str, limit: int) -> File:
        data = bytearray()
        while True:
            answer = await self._ask("get", {"name": name, "offset": len(data), "size": CHUNK})
            if error := answer.text("error"):
                raise FileRefused(f"The file {name} could not be read from the sandbox: {error}.")
            size = answer.count("size")
            if size > limit:
                raise FileRefused(f"The file {name} is too large: it has {size:,} bytes, and the limit is {limit:,}.")
            data += answer.body
            if len(data) == size:
                return File.of(name, bytes(data))
            if not answer.body or len(data) > size:
                raise FileRefused(f"The file {name} changed while it was read; try again.")

    async def files(self) -> Sequence[tuple[str, int]]:
        """List the working folder's regular files: names and sizes, sorted, the first 1,000. Raises SandboxLost."""
        return await self._whole(self._files())

    async def _files(self) -> Sequence[tuple[str, int]]:
        return sizes(parse((await self._ask("list", {})).body), LISTED)

    async def snapshot(self, *, limit: int, known: Collection[str] = (), taken: Callable[[], None] = lambda: None) -> Snapshot:
        """Capture variables, definitions and the working folder in at most `limit` bytes; parts whose digest is `known` come without theirs.

        `taken` is called when code may run again, which the snapshot then does not see. Raises SandboxLost, FileRefused when larger.
        """
        return await self._whole(self._snapshot(limit, known, taken))

    async def _snapshot(self, limit: int, known: Collection[str], taken: Callable[[], None]) -> Snapshot:
        arriving, told = states.Arriving(limit), json.dumps(list(known)).encode()
        async with self._saving, contextlib.AsyncExitStack() as stack:
            stack.callback(setattr, self, "_snapping", 0)
            async with self._busy:
                fields = {"seconds": STATE_SECONDS, "limit": limit}
                answers = await stack.enter_async_context(self._request("snapshot", fields, told, seconds=STATE_SECONDS))
                self._running = self._snapping = answers.number
                try:
                    while (frame := await answers.next()).type != "done":
                        arriving.take(frame)
                finally:
                    self._running = 0
            states.check(frame)
            taken()
            while arriving.saved is None:
                arriving.take(await answers.next())
        return await asyncio.to_thread(arriving.snapshot, known)

    async def restore(self, snapshot: Snapshot) -> Sequence[str]:
        """Bring a snapshot back; returns the names that could not be restored. Raises SandboxLost."""
        return await self._whole(self._restore(snapshot))

    async def _restore(self, snapshot: Snapshot) -> Sequence[str]:
        pieces = [*states.pieces(snapshot), b""]
        first = {"seconds": STATE_SECONDS, "last": len(pieces) == 1, "sizes": [part.size for part in snapshot.parts]}
        async with self._busy, self._request("restore", first, pieces[0], seconds=STATE_SECONDS) as answers:
            for number, piece in enumerate(pieces[1:], start=2):
                fields = {"seconds": STATE_SECONDS, "last": number == len(pieces)}
                await self._send(Frame(type="restore", id=answers.number, fields=fields, body=piece))
            frame = await answers.next()
        report = document(frame.body) if frame.body else {}
        if error := text(report.get("error", frame.text("message")), MESSAGE):
            raise FileRefused(f"The state of the sandbox could not be brought back: {error}")
        return texts(report.get("failed", []), NAMES)

    async def interrupt(self) -> None:
        """Stop the running block: KeyboardInterrupt, then kill after a second. Its `run` returns with status `stopped`. A snapshot is given up."""
        if self._running or self._snapping:
            await self._stop(self._running or self._snapping)

    async def _stop(self, number: int) -> None:
        with contextlib.suppress(SandboxLost):
            await self._send(Frame(type="interrupt", id=number, fields={"target": number}))

    async def aclose(self) -> None:
        """Remove the sandbox with everything in it."""
        await self._fail(SandboxLost("The sandbox was closed."))

    async def _whole(self, work: Coroutine[object, object, T]) -> T:
        """Let work that is cancelled go on to its end, so that no answer is left unread; a violation closes the channel."""
        return await asyncio.shield(_begun(self._guard(work)))

    async def _guard(self, work: Coroutine[object, object, T]) -> T:
        try:
            return await work
        except (SandboxLost, ProtocolViolated) as exc:
            await self._fail(exc)
            raise SandboxLost(str(exc)) from exc

    async def _ask(self, kind: str, fields: Mapping[str, object], body: bytes = b"", *, seconds: float = 30.0) -> Frame:
        async with self._request(kind, fields, body, seconds=seconds) as answers:
            return await answers.next()

    @contextlib.asynccontextmanager
    async def _request(self, kind: str, fields: Mapping[str, object], body: bytes = b"", *, seconds: float) -> AsyncIterator[Answers]:
        number = next(self._numbers)
        answers = self._waiting[number] = Answers(number, seconds + self._patience)
        try:
            await self._send(Frame(type=kind, id=number, fields=fields, body=body))
            yield answers
        finally:
            del self._waiting[number]

    async def _send(self, frame: Frame) -> None:
        if self._failure is not None:
            raise SandboxLost(str(self._failure))
        await self._channel.send(encode(frame))

    async def _read(self) -> None:
        decoder = Decoder()
        try:
            while data := await self._channel.receive():
                for frame in decoder.feed(data):
                    if (answers := self._waiting.get(frame.id)) is None:
                        raise ProtocolViolated("The sandbox answered what nobody had asked.")
                    await answers.add(frame)
            raise SandboxLost("The sandbox is gone: its worker ended.")
        except (SandboxLost, ProtocolViolated) as exc:
            await self._fail(exc)
        except Exception as exc:
            log.exception("Reading from a sandbox failed", extra={"action": "sandbox"})
            await self._fail(SandboxLost(f"The sandbox is gone: what it says cannot be read: {exc}."))

    async def _fail(self, failure: Exception) -> None:
        """Close the channel, and tell everyone who waits."""
        if self._failure is None:
            self._failure = failure
            if self._reader is not None and self._reader is not asyncio.current_task():
                self._reader.cancel()
            for answers in self._waiting.values():
                answers.end(failure)
        await self._channel.aclose()


def _begun(work: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """Begin work that goes on to its end without its caller; who was cancelled does not ask any more what it failed with."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
