"""The link by which the person comes in who started the program."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from adapters.web.access import Viewer, local
from adapters.web.sessions import is_signed_in, sign_in

log = logging.getLogger(__name__)

REMEMBERED = 50
"""Used links that are recognised as such, so that a new one is announced only to somebody who had one."""


class TokenGate:
    """Lets the person in who started the program, by a link that works once; the session's cookie does afterwards."""

    remedy = "Open the link that the terminal shows; programs send a token."

    def __init__(self, viewer: Viewer, announce: Callable[[str], None]) -> None:
        """Make the first link's token; `announce` is told when a used link was opened and another token is needed."""
        self._viewer = viewer
        self._announce = announce
        self._used: list[str] = []
        self.token = secrets.token_urlsafe(24)

    def routes(self) -> list[BaseRoute]:
        """None: the token comes with whatever page is asked for."""
        return []

    async def viewer(self, request: Request) -> Viewer | None:
        """The owner, where the session is theirs."""
        return self._viewer if await is_signed_in(request, self._viewer) else None

    async def stranger(self, request: Request) -> Response | None:
        """Take the token out of the address and begin a session; None where there is none, or a wrong one."""
        given = request.query_params.get("token", "")
        if request.method != "GET" or not given:
            return None
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            if _digest(given) in self._used:
                self._announce(self.token)
            return None
        self._used = [*self._used, _digest(given)][-REMEMBERED:]
        self.token = secrets.token_urlsafe(24)
        await sign_in(request, self._viewer.author)
        log.info("Somebody came in by the link", extra={"action": "sign in"})
        return RedirectResponse(local(request.url.remove_query_params("token")), 303)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
