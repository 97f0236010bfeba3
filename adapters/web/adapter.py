"""The ChatAdapter for the web."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from adapters.web.access import Gate, Viewer
from adapters.web.app import Terms, make_app
from adapters.web.hub import Hub
from adapters.web.link import TokenGate
from adapters.web.operations import Operations
from adapters.web.proxy import Proxies
from adapters.web.reply import WebReply
from adapters.web.server import address, bind, host_and_port, serve
from adapters.web.state import Answers, Web
from codeact_bot.ports import Desk, Inbox, Reply
from codeact_bot.types import WEB, Author, Check, Incoming, Rates, Role, Turn

log = logging.getLogger(__name__)

BODY = 100_000_000
"""Bytes of one request at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where and for whom the web chat is served."""

    at: str
    """Host and port to listen at; port 0 takes a free one."""
    secret: str
    """Key that signs sessions."""
    owner: Author
    """Who comes in by the link that is shown at the start."""
    url: str = ""
    """The address under which people reach it, where that is another one."""
    or_any_port: bool = False
    """Whether another port will do where this one is taken."""
    answers: Answers = "own"
    file_bytes: int = 16 * 1024 * 1024
    """Size of one file that people may send in."""
    session_seconds: int = 7 * 24 * 60 * 60
    """How long one stays signed in."""
    rates: Rates = Rates()
    proxies: Proxies = Proxies()


class WebAdapter:
    """Answers in the browser; implements ChatAdapter."""

    def __init__(
        self, site: Site, desk: Desk, announce: Callable[[str], None], gate: Gate | None = None, operations: Operations | None = None
    ) -> None:
        """Serve the site; without a gate, the owner comes in by a link, which `announce` is given."""
        self._site = site
        self._operations = operations
        self._desk = desk
        self._announce = announce
        self._gate = gate
        self._hub = Hub()
        self._leaving = asyncio.Event()
        self._host, self._port = host_and_port(site.at, "CODEACT_WEB")

    @property
    def prefixes(self) -> Sequence[str]:
        """All conversations that were begun in the web chat."""
        return (WEB,)

    async def listen(self, inbox: Inbox) -> None:
        """Serve pages until cancelled, or until `leave`. Raises ConfigurationInvalid where the address cannot be had."""
        bound = bind(self._host, self._port, or_any=self._site.or_any_port)
        with bound:
            base = self._site.url.rstrip("/") or address(bound)
            gate = self._gate or self._token_gate(base)
            web = Web(
                desk=self._desk,
                inbox=inbox,
                hub=self._hub,
                base=base,
                answers=self._site.answers,
                file_bytes=self._site.file_bytes,
                proxies=self._site.proxies,
                session_seconds=self._site.session_seconds,
            )
            app = make_app(web, gate, self._terms(base, bound))
            if self._gate is not None:
                self._announce(base)
            await serve(app, bound, self._leaving, web.closing.set)

    def _terms(self, base: str, bound: socket.socket) -> Terms:
        secure = base.startswith("https:")
        return Terms(
            secret=self._site.secret,
            names=[name for name in (urlsplit(base).hostname, self._host) if name],
            cookie="__Host-codeact" if secure else f"codeact-{bound.getsockname()[1]}",
            secure=secure,
            body_limit=BODY,
            session_seconds=self._site.session_seconds,
            rates=self._site.rates,
            proxies=self._site.proxies,
            open_routes=self._operations.routes() if self._operations else (),
        )

    def leave(self) -> None:
        """Stop serving."""
        self._leaving.set()

    def _token_gate(self, base: str) -> TokenGate:
        owner = Viewer(id=self._site.owner.id, name=self._site.owner.name, roles=frozenset({Role.ADMIN}))
        gate = TokenGate(owner, lambda token: self._announce(f"{base}/?token={quote(token)}"))
        self._announce(f"{base}/?token={quote(gate.token)}")
        return gate

    async def check(self) -> Check:
        """Who asks has reached it."""
        return Check(name="web chat", ok=True, text="served")

    async def reply(self, turn: Turn) -> Reply:
        """Begin to show a turn, or go on with one that another worker began."""
        return WebReply(self._hub, turn)

    async def settle(self, asked: Turn, by: Incoming) -> None:
        """Do nothing: a page shows Approve and Decline below its last turn alone, and what answers them is a turn."""
