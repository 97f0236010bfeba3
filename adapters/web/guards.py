"""What every request passes: names of hosts, size, where it comes from, who makes it; and the headers that every answer carries."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.web.access import Gate, Viewer
from codeact_bot.errors import StoreUnavailable
from codeact_bot.types import Token

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
STRANGER = "You are not signed in. {}"
NO_SUCH_TOKEN = "This token is not good: it is unknown, was revoked, or its time is over."  # noqa: S105
API = "/api/"
STATIC = "/static/"
TOKENS = "token"
"""What the ids of programs end with: `ci@token`."""


class SafeHeaders:
    """Adds the headers."""

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        """Wrap an app; where it is `secure`, browsers are told never to come without HTTPS."""
        self._app = app
        self._headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
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
    """Lets in those whom the gate knows, programs by their tokens, and everybody to the pages that are open.

    `request.state.viewer` is who it is, or None; `request.state.again` asks anew, for what goes on after the answer has begun.
    """

    def __init__(self, app: ASGIApp, gate: Gate, token: Callable[[str], Awaitable[Token | None]], open_paths: Collection[str]) -> None:
        """Ask this gate, and `token` for secrets; an open path that ends with `/` opens all below it."""
        self._app = app
        self._gate = gate
        self._token = token
        self._open = frozenset(open_paths)
        self._open_below = tuple(path for path in open_paths if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises HTTPException."""
        request = Request(scope, receive)
        path, secret = scope["path"], _secret(request)
        if secret is not None and path.startswith(API):
            request.state.viewer = await self._program(secret)
            if request.state.viewer is None:
                raise HTTPException(401, NO_SUCH_TOKEN, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
            request.state.again = partial(self._program, secret)
            await self._app(scope, receive, send)
            return
        is_open = path in self._open or path.startswith(self._open_below)
        viewer = await self._viewer(request, is_open=is_open)
        if viewer is None and not is_open:
            answer = await self._gate.stranger(request)
            if answer is None:
                raise HTTPException(401, STRANGER.format(self._gate.remedy), headers={"WWW-Authenticate": "Bearer"})
            await answer(scope, receive, send)
            return
        if viewer is not None and scope["method"] not in SAFE and not _same_page(request):
            raise HTTPException(403, NO_TOKEN)
        request.state.viewer, request.state.again = viewer, partial(self._gate.viewer, request)
        await self._app(scope, receive, send)

    async def _viewer(self, request: Request, *, is_open: bool) -> Viewer | None:
        """Who makes a request. What is open is so while nobody can be known, too: the pages of the worker's health need no database."""
        if request.scope["path"].startswith(STATIC):
            return None
        try:
            return await self._gate.viewer(request)
        except StoreUnavailable:
            if is_open:
                return None
            raise

    async def _program(self, secret: str) -> Viewer | None:
        token = await self._token(secret)
        return None if token is None else Viewer(id=f"{token.name}@{TOKENS}", name=token.name, roles=frozenset({token.role}))


def _secret(request: Request) -> str | None:
    """The token that a request carries; None where it carries none. No page of another site can make a browser send one."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else None


def _same_page(request: Request) -> bool:
    """Whether the request carries the token that only the site's own pages know."""
    expected, given = request.session.get("csrf", ""), request.headers.get("x-csrf-token", "")
    return bool(expected) and hmac.compare_digest(expected.encode(), given.encode())
