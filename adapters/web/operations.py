"""What those who look after a worker are shown: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from adapters.web.access import Viewer
from adapters.web.guards import SafeHeaders
from adapters.web.server import address, bind, host_and_port, serve
from codeact_bot.ports import Watch
from codeact_bot.types import Check

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers by which a proxy says that it asks for somebody else."""
SETTING = "CODEACT_OPERATIONS"
CANNOT = "Health and metrics cannot be served at {}:{} ({}). Set CODEACT_OPERATIONS to another address."
NOT_YOU = "Ask from the worker's own machine, or send the token of CODEACT_METRICS_TOKEN: Authorization: Bearer …"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The pages; they need no sign-in, and strangers see no details."""

    watch: Watch
    token: str = ""
    """What a stranger has to send to see details and measures; empty: nobody from elsewhere does."""
    proxied: bool = False
    """Whether a proxy stands before them, so that requests from this machine may be anybody's."""

    def routes(self) -> list[Route]:
        """Their routes."""
        return [Route("/healthz", self.healthz), Route("/readyz", self.readyz), Route("/metrics", self.metrics)]

    async def healthz(self, request: Request) -> Response:
        """Say that the process is alive."""
        return PlainTextResponse("alive\n")

    async def readyz(self, request: Request) -> Response:
        """Say whether messages are taken in and answered, and to those who may know, line by line; 503 where they are not."""
        checks = await self.watch.ready()
        ready = all(check.ok is not False for check in checks)
        said: dict[str, object] = {"ready": ready}
        if self._may_know(request):
            said["checks"] = [line(check) for check in checks]
        return JSONResponse(said, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Show the measures, in Prometheus' text format."""
        if not self._may_know(request):
            return PlainTextResponse(f"{NOT_YOU}\n", 401, {"www-authenticate": "Bearer"})
        text, kind = await self.watch.metrics()
        return Response(text, media_type=kind)

    def _may_know(self, request: Request) -> bool:
        viewer = getattr(request.state, "viewer", None)
        return (isinstance(viewer, Viewer) and viewer.sees_all) or self._has_token(request) or (not self.proxied and is_local(request))

    def _has_token(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        return bool(self.token) and kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())


def line(check: Check) -> dict[str, object]:
    """Return a check as JSON has it."""
    return {"name": check.name, "ok": check.ok, "text": check.text, "remedy": check.remedy}


def is_local(request: Request) -> bool:
    """Whether a program on this machine asks, under a name that is this machine's, for itself."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    return is_loopback(request.client.host) and is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a name or number stands for this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def served(operations: Operations, at: str) -> AsyncIterator[str]:
    """Serve the pages at an address of their own, which is yielded. Raises ConfigurationInvalid where it cannot be had."""
    app = Starlette(routes=list(operations.routes()), middleware=[Middleware(SafeHeaders, secure=False)])
    leaving = asyncio.Event()
    with bind(*host_and_port(at, SETTING), or_any=False, cannot=CANNOT) as bound:
        serving = asyncio.create_task(serve(app, bound, leaving, lambda: None), name="operations")
        try:
            yield address(bound)
        finally:
            leaving.set()
            await serving
