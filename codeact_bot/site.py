"""The web chat, made from the settings."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.ports import Desk, Watch
from codeact_bot.settings import Settings
from codeact_bot.types import Author
from codeact_bot.user import user

if TYPE_CHECKING:
    from adapters.web import Gate, Operations, WebAdapter

NOBODY = (
    "People sign in to the web chat, but nobody may use it yet. Say who: CODEACT_PEOPLE__ALLOW='[\"@example.org\"]', "
    "or an e-mail address in CODEACT_PEOPLE__ADMINS; see docs/access.md."
)


def web(settings: Settings, desk: Desk, announce: Callable[[str], None], watch: Watch | None = None) -> WebAdapter:
    """Make the adapter; `announce` is given the address to open. Raises ConfigurationInvalid.

    Health and metrics are served with it, unless they have an address of their own.
    Without an address of one's own choice, another port will do where that of the default is taken.
    """
    from adapters.web import Site, WebAdapter
    from adapters.web.proxy import Proxies

    owner = Author(id=user(), name=user())
    secret = settings.web_secret.get_secret_value() or kept_secret(settings.data / "web-secret")
    site = Site(
        at=settings.web,
        url=settings.web_url,
        secret=secret,
        owner=owner,
        or_any_port="web" not in settings.model_fields_set,
        answers=settings.web_answers,
        file_bytes=settings.bounds.file_bytes,
        session_seconds=round(settings.session_hours * 3600),
        rates=settings.rates,
        proxies=Proxies.of(settings.proxy_addresses),
    )
    if watch is None or settings.operations:
        return WebAdapter(site, desk, announce, gate(settings))
    proxied = bool(settings.web_url or settings.proxy_addresses)
    return WebAdapter(site, desk, announce, gate(settings), _operations(settings, watch, proxied=proxied))


def gate(settings: Settings) -> Gate | None:
    """Make the gate by which a team comes in; None where there is only the link. Raises ConfigurationInvalid."""
    people, issuer, header = settings.people, settings.oidc_issuer, settings.proxy_user_header
    if not issuer and not header:
        return None
    if issuer and header:
        raise ConfigurationInvalid("CODEACT_OIDC_ISSUER and CODEACT_PROXY_USER_HEADER are both set. Decide who signs people in, and unset the other.")
    if not (people.allow or people.auditors or people.admins):
        raise ConfigurationInvalid(NOBODY)
    if header:
        from adapters.web.proxy import Proxies, ProxyGate

        if not settings.proxy_addresses:
            raise ConfigurationInvalid("CODEACT_PROXY_USER_HEADER needs CODEACT_PROXY_ADDRESSES: anybody else could send that header, too.")
        return ProxyGate(Proxies.of(settings.proxy_addresses), people, user=header, email=settings.proxy_email_header)
    from adapters.web.oidc import Issuer, OidcGate

    secret = settings.oidc_client_secret.get_secret_value()
    if not settings.oidc_client_id or not secret:
        raise ConfigurationInvalid("CODEACT_OIDC_ISSUER needs CODEACT_OIDC_CLIENT_ID and CODEACT_OIDC_CLIENT_SECRET beside it; see docs/access.md.")
    trusted = Issuer(address=issuer, client_id=settings.oidc_client_id, client_secret=secret, scopes=settings.oidc_scopes)
    return OidcGate(trusted, people, settings.web_url)


def _operations(settings: Settings, watch: Watch, *, proxied: bool) -> Operations:
    from adapters.web import Operations

    token = settings.metrics_token
    return Operations(watch=watch, token=token.get_secret_value() if token else "", proxied=proxied)


@asynccontextmanager
async def operations(settings: Settings, watch: Watch | None) -> AsyncIterator[str]:
    """Serve health and metrics at their own address, which is yielded; empty where they have none. Raises ConfigurationInvalid."""
    if watch is None or not settings.operations:
        yield ""
        return
    from adapters.web import served

    async with served(_operations(settings, watch, proxied=False), settings.operations) as address:
        yield address


def installed() -> bool:
    """Whether its libraries are there."""
    return importlib.util.find_spec("starlette") is not None


def open_browser(address: str) -> None:
    """Open an address where there is a screen for it, and not in a browser that would take the terminal."""
    screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if screen and "SSH_CONNECTION" not in os.environ:
        threading.Thread(target=webbrowser.open, args=[address], daemon=True, name="browser").start()


def kept_secret(file: Path) -> str:
    """Return the secret that a file keeps, for its owner's eyes alone; it is made the first time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text()
    with os.fdopen(descriptor, "w") as target:
        target.write(made := secrets.token_urlsafe(32))
    return made
