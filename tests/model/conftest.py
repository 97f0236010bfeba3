"""Servers that a model adapter can be tested against: a scripted one of our own, and aimock."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.parts import AIMOCK

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}


@dataclass
class Exchange:
    """One request, and the means to answer it well or badly."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    streaming: bool = False

    async def reply(self, status: int, body: dict[str, Any], **headers: str) -> None:
        """Answer with JSON."""
        data = json.dumps(body).encode()
        named = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode() + data)
        await self.writer.drain()

    async def raw(self, data: bytes) -> None:
        """Send bytes of an event stream, the headers first."""
        if not self.streaming:
            self.streaming = True
            self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def event(self, body: dict[str, Any]) -> None:
        await self.raw(f"data: {json.dumps(body)}\n\n".encode())

    async def chunk(self, delta: dict[str, Any], finish: str | None = None, usage: dict[str, Any] | None = None) -> None:
        """Send one chunk of a completion."""
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        await self.event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage})

    async def say(self, *pieces: str) -> None:
        for piece in pieces:
            await self.chunk({"content": piece})

    async def end(self, finish: str = "stop", usage: dict[str, Any] | None = None) -> None:
        """End the completion properly, with figures in a last chunk without choices, as OpenAI does."""
        await self.chunk({}, finish=finish)
        if usage:
            await self.event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage})
        await self.raw(b"data: [DONE]\n\n")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def closed(self) -> bool:
        """Wait until the client closes the connection."""
        with suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(1), 10) == b""
        return True

    def cut(self) -> None:
        """Drop the connection without a word."""
        self.writer.transport.abort()


Play = Callable[[Exchange], Awaitable[None]]


@dataclass
class FakeServer:
    """Answers each completion with the next play, and `/models` with `offers`."""

    plays: list[Play]
    offers: tuple[str, ...] = ("only-model",)
    asked: list[Exchange] = field(default_factory=list)
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """What plays want to tell the test."""
    url: str = ""
    open: list[tuple[asyncio.Task[None] | None, asyncio.StreamWriter]] = field(default_factory=list)

    async def aclose(self) -> None:
        """Drop all connections and wait until that is done."""
        for task, writer in self.open:
            writer.transport.abort()
            if task is not None:
                await asyncio.wait([task], timeout=5)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.append((asyncio.current_task(), writer))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                exchange = await self._read(reader, writer)
                if exchange.path.endswith("/models"):
                    await exchange.reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.offers]})
                    continue
                self.asked.append(exchange)
                await self.plays.pop(0)(exchange)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Exchange(first.split()[1], headers, json.loads(body or b"{}"), reader, writer)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[FakeServer]]]:
    """Start servers that play what the test says."""
    running: list[tuple[asyncio.Server, FakeServer]] = []

    async def start(*plays: Play, **options: Any) -> FakeServer:
        fake = FakeServer(list(plays), **options)
        server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
        running.append((server, fake))
        fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return fake

    yield start
    for server, fake in running:
        server.close()
        await fake.aclose()


@pytest.fixture
def aimock(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start aimock with fixtures and options; returns its base address for the client."""
    running: list[subprocess.Popen[str]] = []

    def start(fixtures: list[dict[str, Any]], *options: str) -> str:
        path = tmp_path / f"fixtures{len(running)}.json"
        path.write_text(json.dumps({"fixtures": fixtures}))
        program = [shutil.which("node") or "node", str(AIMOCK / "dist" / "cli.js")]
        command = [*program, "-p", "0", "-f", str(path), "--log-level", "info", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        running.append(process)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"http://[\w.]+:\d+", line):
                return f"{found[0]}/v1"
        raise AssertionError(f"aimock did not start: {said}")

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=10)
