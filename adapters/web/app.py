"""The site: every route, and what each request passes on its way."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from adapters.web import api, audit, deeds, downloads, follow, pages
from adapters.web.access import Gate
from adapters.web.guards import API, Bounded, Entrance, KnownHosts, SafeHeaders
from adapters.web.pace import Pace, Paced, viewer_key
from adapters.web.proxy import Proxies, household
from adapters.web.state import HERE, Web, page
from codeact_bot.errors import ConfigurationInvalid, FileRefused, QueryInvalid, StoreUnavailable, ThreadNotFound, TurnNotFound
from codeact_bot.types import Rates

log = logging.getLogger(__name__)

OPEN = ("/static/", "/s/", "/signed-out", api.OPENAPI)
"""Paths that strangers may ask for, and the beginnings of such ones."""
STATUS: dict[type[Exception], int] = {
    ThreadNotFound: 404,
    TurnNotFound: 404,
    FileRefused: 400,
    QueryInvalid: 400,
    ConfigurationInvalid: 501,
    StoreUnavailable: 503,
}

PLAIN = {"Not Found": "There is no such page.", "Method Not Allowed": "This cannot be done here."}
"""What the framework says, in words for people."""


def routes() -> Sequence[BaseRoute]:
    """Every page of the site."""
    return [
        Route("/", pages.home),
        Route("/conversations", pages.conversations),
        Route("/new", deeds.begin, methods=["POST"]),
        *reading("/t/{thread}"),
        *writing("/t/{thread}"),
        *reading("/s/{secret}"),
        *audit.routes(),
        *api.routes(),
        Route("/sign-out", deeds.sign_out, methods=["POST"]),
        Route("/signed-out", pages.signed_out),
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
        Route(f"{base}/{{turn}}/rebuild", deeds.rebuild, methods=["POST"]),
        Route(f"{base}/{{turn}}/approve/{{digest}}", deeds.approve, methods=["POST"]),
        Route(f"{base}/{{turn}}/decline/{{digest}}", deeds.decline, methods=["POST"]),
        Route(f"{base}/{{turn}}/edit", deeds.edit, methods=["POST"]),
        Route(f"{base}/{{turn}}/fork", deeds.fork, methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms the site is served."""

    secret: str
    """Key that signs sessions."""
    names: Sequence[str]
    """The hosts it answers to."""
    cookie: str
    """Name of the session's cookie."""
    secure: bool
    """Whether people reach it by HTTPS."""
    body_limit: int
    """Bytes of one request at most."""
    session_seconds: int
    """How long one stays signed in."""
    rates: Rates
    proxies: Proxies
    open_routes: Sequence[Route] = ()
    """Further pages, for strangers, too."""


def make_app(web: Web, gate: Gate, terms: Terms) -> Starlette:
    """Make the site."""
    handlers: dict[Any, Any] = {HTTPException: refused, **dict.fromkeys(STATUS, failed)}
    open_paths = (*OPEN, *(route.path for route in (*terms.open_routes, *gate.routes()) if isinstance(route, Route)))
    app = Starlette(
        routes=[*routes(), *terms.open_routes, *gate.routes()],
        exception_handlers={**handlers, Exception: broken},
        middleware=[
            Middleware(SafeHeaders, secure=terms.secure),
            Middleware(ExceptionMiddleware, handlers=handlers),
            Middleware(Paced, pace=Pace(terms.rates.address), whom=lambda request: household(terms.proxies.address(request))),
            Middleware(KnownHosts, names=terms.names),
            Middleware(Bounded, limit=terms.body_limit),
            Middleware(
                SessionMiddleware,
                secret_key=terms.secret,
                session_cookie=terms.cookie,
                max_age=terms.session_seconds,
                https_only=terms.secure,
            ),
            Middleware(Entrance, gate=gate, token=web.desk.token, open_paths=open_paths),
            Middleware(Paced, pace=Pace(terms.rates.viewer), whom=viewer_key),
        ],
    )
    app.state.web = web
    return app


async def refused(request: Request, error: Exception) -> Response:
    """Say why something was refused."""
    assert isinstance(error, HTTPException)
    return _sentence(request, error.status_code, PLAIN.get(error.detail, error.detail), error.headers)


async def failed(request: Request, error: Exception) -> Response:
    """Say what the core says of a failure."""
    return _sentence(request, STATUS[type(error)], str(error))


async def broken(request: Request, error: Exception) -> Response:
    """Say that something is wrong here; the server logs what."""
    return _sentence(request, 500, "Something went wrong here. The log of codeact-bot has the details.")


def _sentence(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    if request.url.path.startswith(API):
        answer: Response = JSONResponse({"error": text}, status)
    elif "text/html" in request.headers.get("accept", ""):
        title, _, rest = text.partition(". ")
        answer = page(request, "sentence.html", status=status, title=title.rstrip("."), rest=rest, again=request.url.path.startswith("/sign-in"))
    else:
        answer = PlainTextResponse(text, status)
    answer.headers.update(headers or {})
    return answer
