"""Proxies that are trusted: to say where a request comes from and, where that is wanted, who makes it."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from adapters.web.access import Viewer
from adapters.web.identity import Identity
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.types import People

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """Addresses whose word is taken."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> Proxies:
        """Read addresses and networks. Raises ConfigurationInvalid."""
        try:
            return cls(tuple(ipaddress.ip_network(text) for text in texts))
        except ValueError as error:
            message = f"CODEACT_PROXY_ADDRESSES is not a list of addresses and networks, such as 10.0.0.7 or 10.1.0.0/16: {error}."
            raise ConfigurationInvalid(message) from None

    def has(self, text: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        address = numbered(text)
        return address is not None and any(address in network for network in self.networks)

    def sent(self, request: Request) -> bool:
        """Whether a request came from a trusted proxy."""
        return request.client is not None and self.has(request.client.host)

    def address(self, request: Request) -> str:
        """Where a request comes from: the last address that no trusted proxy vouches for being one of its own."""
        peer = request.client.host if request.client else ""
        if not self.has(peer):
            return peer
        told = [part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")]
        return next((each for each in reversed(told) if not self.has(each)), peer)


def numbered(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address, one of IPv4 as such though a socket for both kinds shows it as one of IPv6; None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def household(text: str) -> str:
    """Return what an address shares a budget with: of IPv6 the /64, all of which one household has, of IPv4 itself."""
    address = numbered(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))
    return text if address is None else str(address)


class ProxyGate:
    """Lets in whom a trusted proxy names in a header and the lists of people name; implements Gate."""

    remedy = "Come in through the proxy that signs people in; programs send a token."

    def __init__(self, proxies: Proxies, people: People, *, user: str, email: str) -> None:
        """Trust these proxies; `user` and `email` are the names of the headers."""
        self._proxies = proxies
        self._people = people
        self._user = user
        self._email = email

    def routes(self) -> list[BaseRoute]:
        """None: the proxy has pages of its own."""
        return []

    async def viewer(self, request: Request) -> Viewer | None:
        """Whom the proxy names; a request that did not come from it names nobody."""
        users = request.headers.getlist(self._user)
        emails = request.headers.getlist(self._email) if self._email else []
        if not self._proxies.sent(request) or len(users) != 1 or not users[0].strip() or len(emails) > 1:
            return None
        viewer = Identity.of_headers(users[0].strip(), "".join(emails).strip()).viewer(self._people)
        if viewer is not None and "csrf" not in request.session:
            request.session["csrf"] = secrets.token_urlsafe(24)
        return viewer

    async def stranger(self, request: Request) -> Response | None:
        """Nobody is sent elsewhere."""
        return None
