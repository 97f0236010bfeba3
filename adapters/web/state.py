"""What all pages of the site share."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from adapters.render import cost_text, count, one_line, seconds_text, size_text
from adapters.web.access import Viewer
from adapters.web.hub import Hub
from adapters.web.proxy import Proxies
from codeact_bot.ports import Desk, Inbox

HERE = Path(__file__).parent
Answers = Literal["own", "here", "there"]
"""Which conversations can be answered in: those of the web chat; other platforms', too, on this page alone; or there as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The site: the core it stands before, and what it made for itself."""

    desk: Desk
    inbox: Inbox
    hub: Hub
    base: str
    """Beginning of the addresses that people are given."""
    answers: Answers = "own"
    file_bytes: int = 16 * 1024 * 1024
    """Size of one file that is sent in."""
    proxies: Proxies = Proxies()
    """Whose word is taken on where a request comes from."""
    session_seconds: int = 7 * 24 * 60 * 60
    """How long one stays signed in."""
    long_reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Exports of all runs, and walks along the chain, that go on at once."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the site closes: streams end."""


def web_of(request: Request) -> Web:
    """The site that a request came to."""
    return cast("Web", request.app.state.web)


def viewer_of(request: Request) -> Viewer:
    """The person behind a request to a page that is not open to strangers."""
    viewer = request.state.viewer
    assert isinstance(viewer, Viewer)
    return viewer


@cache
def asset(name: str) -> str:
    """Return the address of a file of static/, which changes with its content."""
    return f"/static/{name}?v={hashlib.sha256((HERE / 'static' / name).read_bytes()).hexdigest()[:12]}"


@cache
def templates() -> Environment:
    """The templates; whatever they are given is escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals["asset"] = asset
    made.filters |= {"count": count, "seconds": seconds_text, "size": size_text, "cost": cost_text, "line": one_line}
    return made


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Write a page for the person who asked for it."""
    session = request.session if "session" in request.scope else {}
    values |= {"viewer": getattr(request.state, "viewer", None), "csrf": session.get("csrf", "")}
    return HTMLResponse(templates().get_template(template).render(values), status)
