"""What every request passes: names of hosts, size, where it comes from, who makes it; and the headers that every answer carries."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.web.access import Gate

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cache-control": "no-store",
}
"""What an answer carries that does not say otherwise itself."""
WRONG_HOST = "This address is not mine. Set CODEACT_WEB_URL to the address under which people reach the web chat."
WRONG_ORIGIN = "This request comes from another site."
NO_TOKEN = "This page is out of date. Load it again."  # noqa: S105
TOO_LARGE = "This is more than can be taken at once."
STRANGER = "I do not know you. Open the link that the terminal shows."


class SafeHeaders:
    """Adds the headers."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, adding)


class KnownHosts:
    """Refuses names that are not this site's, as those of a rebound DNS entry, and changes that another site asks for."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        """Let in these names, this machine's, and addresses that are numbers."""
        self._app = app
        self._names = {"localhost", socket.gethostname().lower(), *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises HTTPException."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._knows(host):
            raise HTTPException(421, WRONG_HOST)
        if scope["method"] not in SAFE:
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
                raise HTTPException(403, WRONG_ORIGIN)
            if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
                raise HTTPException(403, WRONG_ORIGIN)
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Bounded:
    """Refuses bodies that are too large, announced or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Take at most so many bytes."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises HTTPException."""
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > self._limit:
            raise HTTPException(413, TOO_LARGE)
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, counting, send)


class Entrance:
    """Lets in those whom the gate knows, and everybody to the pages that are open; `request.state.viewer` is who it is, or None."""

    def __init__(self, app: ASGIApp, gate: Gate, open_paths: Collection[str]) -> None:
        """Ask this gate; paths that begin with one of `open_paths` are open."""
        self._app = app
        self._gate = gate
        self._open = tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises HTTPException."""
        request = Request(scope, receive)
        viewer = await self._gate.viewer(request)
        if viewer is None and not scope["path"].startswith(self._open):
            answer = await self._gate.stranger(request)
            if answer is None:
                raise HTTPException(401, STRANGER)
            await answer(scope, receive, send)
            return
        if viewer is not None and scope["method"] not in SAFE and not _same_page(request):
            raise HTTPException(403, NO_TOKEN)
        request.state.viewer = viewer
        await self._app(scope, receive, send)


def _same_page(request: Request) -> bool:
    """Whether the request carries the token that only the site's own pages know."""
    expected, given = request.session.get("csrf", ""), request.headers.get("x-csrf-token", "")
    return bool(expected) and hmac.compare_digest(expected.encode(), given.encode())
