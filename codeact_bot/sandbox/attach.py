"""The channel to a container: the raw socket of its attach stream, on which the engine multiplexes both outputs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from codeact_bot.errors import ProtocolViolated, SandboxLost

HEADER = 8
"""Bytes before each piece: the stream's number, three zeros, the length big-endian (Docker's API, "Stream format")."""
STDOUT, STDERR = 1, 2
READ = 256 * 1024
LAST_WORDS = 4096
"""Bytes of the worker's standard error that are kept."""

GONE = "The sandbox is gone: its container was stopped or removed."


class Demultiplexer:
    """Takes the two outputs of a container apart."""

    def __init__(self) -> None:
        self.errors = bytearray()
        """The end of standard error."""
        self._header = bytearray()
        self._left = 0
        self._stream = STDOUT

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the stream and return those of standard output. Raises ProtocolViolated."""
        out = bytearray()
        view = memoryview(data)
        while view:
            if self._left:
                piece, view = view[: self._left], view[self._left :]
                self._left -= len(piece)
                self._take(piece, out)
            else:
                missing = HEADER - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                self._begin()
        return bytes(out)

    def _begin(self) -> None:
        if len(self._header) < HEADER:
            return
        if self._header[0] not in (STDOUT, STDERR) or any(self._header[1:4]):
            raise ProtocolViolated("Docker's attach stream is not what it should be.")
        self._stream = self._header[0]
        self._left = int.from_bytes(self._header[4:], "big")
        self._header.clear()

    def _take(self, piece: memoryview, out: bytearray) -> None:
        if self._stream == STDOUT:
            out += piece
            return
        self.errors += piece
        del self.errors[:-LAST_WORDS]


class DockerChannel:
    """A byte stream to the worker in a container; closing it removes the container."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, remove: Callable[[], Awaitable[object]]) -> None:
        self._reader = reader
        self._writer = writer
        self._remove = remove
        self._demultiplexer = Demultiplexer()
        self._closing: asyncio.Future[None] | None = None

    @classmethod
    async def over(cls, attached: socket.socket, remove: Callable[[], Awaitable[object]]) -> DockerChannel:
        """Wrap the attach stream's socket; `remove` removes the container."""
        attached.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=attached, limit=READ)
        return cls(reader, writer, remove)

    @property
    def last_words(self) -> str:
        """The end of what the worker wrote to its standard error."""
        return self._demultiplexer.errors.decode(errors="replace").strip()

    async def send(self, data: bytes) -> None:
        """Write all of `data`. Raises SandboxLost."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise SandboxLost(GONE) from error

    async def receive(self) -> bytes:
        """Return the next bytes; empty when the worker is gone. Raises ProtocolViolated."""
        while True:
            try:
                data = await self._reader.read(READ)
            except OSError:
                return b""
            if not data:
                return b""
            out = self._demultiplexer.feed(data)
            if out:
                return out

    async def aclose(self) -> None:
        """Remove the container; safe to call twice, and goes on when cancelled."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._writer.close()
        await self._remove()
