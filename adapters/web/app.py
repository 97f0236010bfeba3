"""The site: every route, and what each request passes on its way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from adapters.web import deeds, downloads, follow, pages
from adapters.web.access import Gate
from adapters.web.guards import Bounded, Entrance, KnownHosts, SafeHeaders
from adapters.web.state import HERE, Web, page
from codeact_bot.errors import FileRefused, StoreUnavailable, ThreadNotFound, TurnNotFound

log = logging.getLogger(__name__)

OPEN = ("/static/", "/s/")
"""Beginnings of the paths that strangers may ask for."""
SESSION_SECONDS = 7 * 24 * 60 * 60
"""How long one stays signed in."""
STATUS: dict[type[Exception], int] = {ThreadNotFound: 404, TurnNotFound: 404, FileRefused: 400, StoreUnavailable: 503}


def routes() -> Sequence[BaseRoute]:
    """Every page of the site."""
    return [
        Route("/", pages.home),
        Route("/conversations", pages.conversations),
        Route("/new", deeds.begin, methods=["POST"]),
        *reading("/t/{thread}"),
        *writing("/t/{thread}"),
        *reading("/s/{secret}"),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ]


def reading(base: str) -> Sequence[BaseRoute]:
    """The pages of one conversation."""
    return [
        Route(base, pages.conversation),
        Route(f"{base}/events", follow.events),
        Route(f"{base}/export/{{kind}}", downloads.export),
        Route(f"{base}/{{turn}}/earlier", pages.earlier),
        Route(f"{base}/{{turn}}/file/{{digest}}", downloads.file),
        Route(f"{base}/{{turn}}/text/{{digest}}", downloads.text),
        Route(f"{base}/{{turn}}/output/{{step:int}}", downloads.output),
        Route(f"{base}/{{turn}}/table/{{step:int}}/{{number:int}}.csv", downloads.table),
    ]


def writing(base: str) -> Sequence[BaseRoute]:
    """What can be done in one conversation."""
    return [
        Route(f"{base}/ask", deeds.ask, methods=["POST"]),
        Route(f"{base}/stop", deeds.stop, methods=["POST"]),
        Route(f"{base}/withdraw", deeds.withdraw, methods=["POST"]),
        Route(f"{base}/shares", deeds.shares),
        Route(f"{base}/share", deeds.share, methods=["POST"]),
        Route(f"{base}/unshare", deeds.unshare, methods=["POST"]),
        Route(f"{base}/{{turn}}/retry", deeds.retry, methods=["POST"]),
        Route(f"{base}/{{turn}}/edit", deeds.edit, methods=["POST"]),
        Route(f"{base}/{{turn}}/fork", deeds.fork, methods=["POST"]),
    ]


def make_app(web: Web, gate: Gate, *, secret: str, names: Sequence[str], cookie: str, secure: bool, body_limit: int) -> Starlette:
    """Make the site; `names` are the hosts it answers to, `secure` tells that people reach it by HTTPS."""
    handlers: dict[Any, Any] = {HTTPException: refused, **dict.fromkeys(STATUS, failed)}
    app = Starlette(
        routes=[*routes(), *gate.routes()],
        exception_handlers={**handlers, Exception: broken},
        middleware=[
            Middleware(SafeHeaders),
            Middleware(ExceptionMiddleware, handlers=handlers),
            Middleware(KnownHosts, names=names),
            Middleware(Bounded, limit=body_limit),
            Middleware(SessionMiddleware, secret_key=secret, session_cookie=cookie, max_age=SESSION_SECONDS, https_only=secure),
            Middleware(Entrance, gate=gate, open_paths=(*OPEN, *(route.path for route in gate.routes() if isinstance(route, Route)))),
        ],
    )
    app.state.web = web
    return app


async def refused(request: Request, error: Exception) -> Response:
    """Say why something was refused."""
    assert isinstance(error, HTTPException)
    return _sentence(request, error.status_code, error.detail)


async def failed(request: Request, error: Exception) -> Response:
    """Say what the core says of a failure."""
    return _sentence(request, STATUS[type(error)], str(error))


async def broken(request: Request, error: Exception) -> Response:
    """Say that something is wrong here; the server logs what."""
    return _sentence(request, 500, "Something went wrong here. The log of codeact-bot has the details.")


def _sentence(request: Request, status: int, text: str) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return page(request, "sentence.html", status=status, title=text.partition(". ")[0].rstrip("."), rest=text.partition(". ")[2])
    return PlainTextResponse(text, status)
