"""Stands between the bot and the Slack emulator, and does what Slack does on a bad day."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one request meets: an answer of Slack's, or a connection that breaks."""

    status: int = 200
    error: str = ""
    retry_after: str = ""
    after: bool = False
    """Whether Slack does what was asked, and only the answer is lost or replaced."""
    breaks: bool = False


STREAMING = {"chat.startStream", "chat.appendStream", "chat.stopStream", "agents.sessions.setStatus"}

RATE_LIMITED = Fault(status=429, error="ratelimited", retry_after="1")
BROKEN = Fault(status=503)
CUT = Fault(breaks=True)
CUT_AFTER = Fault(breaks=True, after=True)


@dataclass(slots=True)
class Proxy:
    """The faults to come, and the requests that were made."""

    target: str
    address: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    down: bool = False
    twice: bool = False
    """Whether envelopes arrive twice, as after a reconnect."""
    streams: bool = False
    """Whether the workspace has native streams, and sessions."""
    typed: dict[str, str] = field(default_factory=dict)
    """What was streamed into each message that is still a stream."""
    scopes: str = ""
    """What Slack says the bot's token may do."""
    calls: Counter[str] = field(default_factory=Counter)
    given: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    acks: dict[str, float] = field(default_factory=dict)
    """When each envelope was acknowledged, in seconds of `time.perf_counter`."""
    at: list[float] = field(default_factory=list)
    """When each request of `given` came."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        method = request.path.removeprefix("/api/")
        body = await request.read()
        self.calls[method] += 1
        self.at.append(time.perf_counter())
        self.given.append((method, _arguments(request, body)))
        if method in STREAMING and self.streams:
            return await self._stream(method, self.given[-1][1])
        fault = BROKEN if self.down else self.faults[method].pop(0) if self.faults[method] else None
        if fault is not None and not fault.after:
            return self._fail(request, fault)
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, f"{self.target}{request.path_qs}", data=body, headers=_kept(request)) as answer,
        ):
            data = (await answer.read()).replace(self.target.removeprefix("http://").encode(), self.address.removeprefix("http://").encode())
            if fault is not None:
                return self._fail(request, fault)
            headers = {"Content-Type": answer.headers.get("Content-Type", "text/plain")} | ({"x-oauth-scopes": self.scopes} if self.scopes else {})
            return web.Response(status=answer.status, body=data, headers=headers)

    async def _stream(self, method: str, given: dict[str, Any]) -> web.Response:
        """Be a workspace with streams, as Slack documents them: messages that are typed out, and end."""
        if self.down or self.faults[method]:
            fault = BROKEN if self.down else self.faults[method].pop(0)
            return web.json_response({"ok": False, "error": fault.error}, status=fault.status)
        if method == "agents.sessions.setStatus":
            return web.json_response({"ok": True, "status": given["status"]})
        text = "".join(chunk.get("text", "") or f"[{chunk['status']}] {chunk['title']}\n" for chunk in given.get("chunks") or ())
        if method == "chat.startStream":
            assert given["thread_ts"]
            assert given["recipient_user_id"]
            assert given["recipient_team_id"]
            sent = await self._emulator("chat.postMessage", channel=given["channel"], thread_ts=given["thread_ts"], text=text)
            self.typed[sent["ts"]] = text
            return web.json_response({"ok": True, "channel": given["channel"], "ts": sent["ts"]})
        if given["ts"] not in self.typed:
            return web.json_response({"ok": False, "error": "message_not_in_streaming_state"})
        self.typed[given["ts"]] += text
        await self._emulator("chat.update", channel=given["channel"], ts=given["ts"], text=self.typed[given["ts"]])
        if method == "chat.stopStream":
            del self.typed[given["ts"]]
        return web.json_response({"ok": True, "ts": given["ts"]})

    async def _emulator(self, method: str, **given: str) -> dict[str, Any]:
        headers = {"Authorization": "Bearer xoxb-test"}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(f"{self.target}/api/{method}", json=given) as answer:
            return dict(await answer.json())

    def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.breaks:
            assert request.transport is not None
            request.transport.abort()
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        text = json.dumps({"ok": False, "error": fault.error}) if fault.error else "<html>Bad gateway</html>"
        return web.Response(status=fault.status, text=text, headers=headers, content_type="application/json" if fault.error else "text/html")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        down = web.WebSocketResponse()
        await down.prepare(request)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.target}{request.path_qs}") as up:
            pumps = [asyncio.create_task(self._pump_down(up, down)), asyncio.create_task(self._pump_up(down, up))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                self.sockets.discard(down)
                await down.close()
        return down

    async def _pump_down(self, up: aiohttp.ClientWebSocketResponse, down: web.WebSocketResponse) -> None:
        async for message in up:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.sockets.add(down)  # only now, with Slack's hello, are events delivered
                for _ in range(2 if self.twice and "envelope_id" in message.data else 1):
                    await down.send_str(message.data.replace(self.target, self.address))

    async def _pump_up(self, down: web.WebSocketResponse, up: aiohttp.ClientWebSocketResponse) -> None:
        async for message in down:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.acks[json.loads(message.data).get("envelope_id", "")] = time.perf_counter()
                await up.send_str(message.data)

    async def inject(self, kind: str, payload: dict[str, Any]) -> str:
        """Send the bot an envelope of our own, as the emulator cannot, over any of its sockets; returns its id. Raises ConnectionError when it has none."""
        name = uuid.uuid4().hex
        each = next(iter(self.sockets), None)
        if each is None:
            raise ConnectionError("the bot has no socket")
        await each.send_str(json.dumps({"envelope_id": name, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api"}))
        return name

    def acknowledged(self, name: str) -> bool:
        """Whether the bot has acknowledged an envelope."""
        return name in self.acks

    async def drop(self) -> None:
        """Cut all sockets."""
        for each in list(self.sockets):
            await each.close()


def _kept(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() in ("authorization", "content-type")}


def _arguments(request: web.Request, body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body)) if request.content_type == "application/json" else {}
    except ValueError:
        return {}


@asynccontextmanager
async def running(target: str) -> AsyncIterator[Proxy]:
    """Start a proxy for an emulator."""
    proxy = Proxy(target=target)
    app = web.Application(client_max_size=1 << 28)
    app.router.add_route("*", "/{path:.*}", proxy.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    assert site._server is not None
    proxy.address = f"http://localhost:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield proxy
    finally:
        await proxy.drop()
        await runner.cleanup()
