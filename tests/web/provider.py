"""An OpenID provider over real HTTP, with real signatures, that can be told to do wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from adapters.web.server import bind, serve

CLIENT, SECRET = "codeact", "a-secret-of-the-client-that-is-long-enough"
ADA = {"sub": "4711", "name": "Ada", "email": "Ada@Example.org", "email_verified": True}
Change = Callable[[dict[str, Any]], Any]


class Provider:
    """Signs in whoever comes as `person`; `change` may spoil the claims, `sign` the token, and `metadata` what it says of itself."""

    def __init__(self) -> None:
        self.address = ""
        self.person: dict[str, Any] = dict(ADA)
        self.change: Change = lambda claims: None
        self.sign: Callable[[dict[str, Any]], str | None] = self.signed
        self.metadata: dict[str, Any] = {}
        self.denies = False
        self.published: list[Any] = []
        self.asked: list[dict[str, str]] = []
        self.new_key()
        self._codes: dict[str, dict[str, str]] = {}

    def new_key(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"}, auto_kid=False)

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def unsigned(self, claims: dict[str, Any]) -> str:
        return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."

    def signed_by_another(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, RSAKey.generate_key(2048))

    def signed_with_the_secret(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "HS256", "kid": self.key.kid}, claims, OctKey.import_key(SECRET))

    def signed_with_what_all_can_read(self, claims: dict[str, Any]) -> str:
        key = OctKey.generate_key(256, {"kid": "all", "alg": "HS256"}, auto_kid=False)
        self.published = [key.as_dict(private=True)]
        return jwt.encode({"alg": "HS256", "kid": "all"}, claims, key)

    def tampered(self, claims: dict[str, Any]) -> str:
        head, _, signature = self.signed(claims).split(".")
        return f"{head}.{_part({**claims, 'email': 'root@example.org'})}.{signature}"

    async def discovery(self, request: Request) -> Response:
        mine = {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
        return JSONResponse({**mine, **self.metadata})

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False), *self.published]})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        back = {"error": "access_denied", "state": asked["state"]}
        if not self.denies:
            code = secrets.token_urlsafe(12)
            self._codes[code] = asked
            back = {"code": code, "state": asked["state"]}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        client = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        asked = self._codes.pop(given.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if client != f"{CLIENT}:{SECRET}" or asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != given["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {**self.person, "iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        self.change(claims)
        token = self.sign(claims)
        return JSONResponse({"access_token": "at", "token_type": "Bearer", "expires_in": 300} | ({"id_token": token} if token else {}))


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@asynccontextmanager
async def provided() -> AsyncIterator[Provider]:
    """A provider that can be reached while the body runs."""
    made, leaving = Provider(), asyncio.Event()
    routes = [
        Route("/.well-known/openid-configuration", made.discovery),
        Route("/keys", made.keys),
        Route("/authorize", made.authorize),
        Route("/token", made.token, methods=["POST"]),
    ]
    with bind("127.0.0.1", 0, or_any=False) as bound:
        made.address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        serving = asyncio.create_task(serve(Starlette(routes=routes), bound, leaving, lambda: None))
        try:
            yield made
        finally:
            leaving.set()
            await serving
