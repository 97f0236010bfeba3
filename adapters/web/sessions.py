"""Being signed in: a secret in the browser's cookie, which counts as long as the server keeps its hash."""

from __future__ import annotations

import secrets

from starlette.requests import Request

from adapters.common.recording import record
from adapters.web.access import Viewer
from adapters.web.state import web_of
from codeact_bot.types import Author, Deed

KEY = "secret"
"""Where the cookie has the secret."""


async def sign_in(request: Request, person: Author, **kept: object) -> None:
    """Begin a session, in which the cookie keeps some more; whatever it kept before is gone."""
    web, before = web_of(request), request.session.get(KEY)
    if before:
        await web.desk.sign_out(before)
    given = await web.desk.sign_in(person, web.session_seconds)
    request.session.clear()
    request.session.update({KEY: given, "csrf": secrets.token_urlsafe(24), **kept})
    await record(web.desk, Deed.SESSION, person, subject="signed in")


async def is_signed_in(request: Request, viewer: Viewer) -> bool:
    """Whether the request's session goes on, and is this person's."""
    given = request.session.get(KEY)
    found = await web_of(request).desk.signed_in(given) if given else None
    return found is not None and found.person.id == viewer.id


async def sign_out(request: Request, person: Author) -> None:
    """End the request's session, for every copy of its cookie."""
    given, web = request.session.get(KEY), web_of(request)
    request.session.clear()
    if given:
        await web.desk.sign_out(given)
        await record(web.desk, Deed.SESSION, person, subject="signed out")
