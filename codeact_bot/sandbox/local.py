"""A channel to a worker that is a process of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from codeact_bot.errors import SandboxLost

READ = 1024 * 1024
LEAVE = 3.0
"""Seconds that a worker has for leaving by itself, after it has killed what it had started."""
COMPLAINT = 2000
"""Characters of what a worker that does not start may say."""


async def spawn(command: Sequence[str], **given: Any) -> asyncio.subprocess.Process:
    """Start a process as the leader of a session; one whose start is cancelled is killed with all that it has begun. Raises OSError.

    asyncio would kill it alone and wait for the end of its pipes, which bubblewrap's inner half holds open for ever where it waits for the outer one.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, start_new_session=True, **given))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            await kill_session(starting.result())
        raise


async def kill_session(process: asyncio.subprocess.Process) -> None:
    """Kill a process that leads a session, with all that belongs to its group, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    process._transport.close()  # type: ignore[attr-defined]


class ProcessChannel:
    """Speaks with a worker over pipes."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path | None, uid: int | None) -> None:
        self._process, self._folder, self._uid = process, folder, uid
        self._closing = asyncio.Lock()
        self._closed = False
        self.complaint = ""
        """What a worker that did not start wrote on its standard error."""

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], folder: Path | None, uid: int | None) -> Self:
        """Start a worker in `folder`, which is removed in the end, as are all processes of the user id `uid`. Raises SandboxLost."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await spawn(command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment), cwd=folder or "/", limit=READ)
        except OSError as exc:
            raise SandboxLost(f"The sandbox process could not be started: {exc}.") from exc
        return cls(process, folder, uid)

    async def send(self, data: bytes) -> None:
        """Write all of `data`. Raises SandboxLost."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, RuntimeError) as exc:
            raise SandboxLost("The sandbox is gone: its process ended.") from exc

    async def receive(self) -> bytes:
        """Return the next bytes; empty when the worker is gone."""
        assert self._process.stdout is not None
        return await self._process.stdout.read(READ)

    async def aclose(self) -> None:
        """Kill the worker and everything it started, and remove its folder; safe to call twice."""
        async with self._closing:
            if not self._closed:
                await self._end()
            self._closed = True

    async def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE):
                await self._process.wait()
        for pid in await asyncio.to_thread(lambda: list(self._left())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE):
                self.complaint = (await self._process.stderr.read(COMPLAINT)).decode("utf-8", "replace").strip()
                await self._process.wait()
        self._process._transport.close()  # type: ignore[attr-defined]
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder.with_name(f"{self._folder.name}.owner").unlink(missing_ok=True)

    def _left(self) -> Iterator[int]:
        """Find what is still there: the process, its children and its session's members, and all processes of its own user id."""
        if self._process.returncode is None:
            yield self._process.pid
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[1:4]
                if str(self._process.pid) in (parent, session) or (self._uid is not None and stat.stat().st_uid == self._uid):
                    yield int(stat.parent.name)
