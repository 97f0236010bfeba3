"""Signing in with OpenID Connect: Slack, Google, or any other issuer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.web.access import Viewer, local
from adapters.web.identity import Identity
from adapters.web.sessions import is_signed_in, sign_in
from adapters.web.state import web_of
from codeact_bot.types import Author, Deed, Entry, People

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that are trusted: those whose key the server keeps to itself."""
AWAY = "The sign-in server cannot be used now. Try again in a minute; an admin finds the reason in the log of codeact-bot."
NOT_SIGNED_IN = "Signing in did not succeed. Open the web chat again to begin anew."
NOT_ADMITTED = "You are signed in as {}, who is not let in here. Ask an admin to add you to CODEACT_PEOPLE__ALLOW."


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The server that says who somebody is."""

    address: str
    """Its issuer identifier: `https://accounts.google.com`."""
    client_id: str
    client_secret: str
    scopes: str
    """Separated by spaces; `openid` is one of them."""


class OidcGate:
    """Lets in whom an issuer vouches for and the lists of people name; implements Gate."""

    remedy = "Open the web chat in a browser; programs send a token."

    def __init__(self, issuer: Issuer, people: People, url: str) -> None:
        """Trust the issuer; `url` is the address under which people reach the web chat, where that is not the one they ask."""
        self._issuer = issuer
        self._people = people
        self._url = url.rstrip("/")
        self._client: Any = OAuth().register(
            "codeact",
            client_id=issuer.client_id,
            client_secret=issuer.client_secret,
            server_metadata_url=f"{issuer.address.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={"scope": issuer.scopes, "code_challenge_method": "S256"},
        )

    def routes(self) -> list[BaseRoute]:
        """Where signing in begins, and where the issuer sends people back to."""
        return [Route("/sign-in", self.begin), Route("/sign-in/done", self.done)]

    async def viewer(self, request: Request) -> Viewer | None:
        """Who is signed in, as the lists of people have it now."""
        kept = request.session.get("who")
        viewer = Identity.of_session(kept).viewer(self._people) if kept else None
        return viewer if viewer is not None and await is_signed_in(request, viewer) else None

    async def stranger(self, request: Request) -> Response | None:
        """Send somebody who asks for a page to sign in, and back to it afterwards."""
        if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
            return None
        request.session["next"] = local(request.url)
        return RedirectResponse("/sign-in", 303)

    async def begin(self, request: Request) -> Response:
        """Send somebody to the issuer, with a state, a nonce and a code challenge that this session keeps."""
        try:
            await self._metadata()
            back = f"{self._url or str(request.base_url).rstrip('/')}/sign-in/done"
            answer: Response = await self._client.authorize_redirect(request, back)
        except Exception as error:
            raise _away(error) from error
        return answer

    async def done(self, request: Request) -> Response:
        """Check what the issuer says, and begin a session. Raises HTTPException."""
        identity = Identity.of_claims(self._issuer.address, await self._claims(request))
        viewer = identity.viewer(self._people)
        if viewer is None:
            await _refuse(request, identity)
            raise HTTPException(403, NOT_ADMITTED.format(identity.name))
        address = request.session.get("next", "/")
        await sign_in(request, viewer.author, who=identity.kept())
        log.info("Somebody signed in", extra={"action": "sign in"})
        return RedirectResponse(address, 303)

    async def _claims(self, request: Request) -> Mapping[str, Any]:
        """The claims of the ID token. Raises HTTPException where anything about it is wrong."""
        try:
            issued = (await self._metadata())["issuer"]
            expected = {"iss": {"essential": True, "value": issued}, "aud": {"essential": True, "value": self._issuer.client_id}}
            token = await self._client.authorize_access_token(request, claims_options=expected)
            claims: Mapping[str, Any] = token["userinfo"]
        except (OAuthError, JoseError, KeyError) as error:
            log.warning("Somebody did not sign in: %s", error, extra={"action": "sign in"})
            raise HTTPException(403, NOT_SIGNED_IN) from error
        except Exception as error:
            raise _away(error) from error
        return claims

    async def _metadata(self) -> Mapping[str, Any]:
        """What the issuer says of itself, once it is known to be the right one; of its signatures, those that are trusted."""
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if metadata["issuer"].rstrip("/") != self._issuer.address.rstrip("/"):
            raise ValueError(f"the issuer calls itself {metadata['issuer']!r}, not {self._issuer.address!r}")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [each for each in offered if each in ALGORITHMS] or ["RS256"]
        return metadata


def _away(error: Exception) -> HTTPException:
    """Say that the issuer cannot be used: it does not answer, or not as it should."""
    log.error("The sign-in server cannot be used: %s: %s", type(error).__name__, error, extra={"action": "sign in"})
    return HTTPException(502, AWAY)


async def _refuse(request: Request, identity: Identity) -> None:
    author = Author(id=identity.id, name=identity.name)
    await web_of(request).desk.record(Entry(kind=Deed.REFUSED, author=author, subject="web", text="This person may not sign in."))
