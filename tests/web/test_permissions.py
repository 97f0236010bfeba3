"""Every route of the site, for everybody who may come: strangers, members of elsewhere, members who take part, auditors, admins."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.routing import Mount, Route

from adapters.web.app import routes
from adapters.web.oidc import Issuer, OidcGate
from adapters.web.operations import Operations
from adapters.web.proxy import Proxies, ProxyGate
from codeact_bot.tokens import create
from codeact_bot.types import Author, Deed, File, Incoming, People, Role, Table, ThreadId
from tests.store import make
from tests.web.staff import HTML, Place, served
from tests.web.test_access import NamedGate

WHO = {"stranger": "", "other": "bob/member", "participant": "ann/member", "auditor": "aud/auditor", "admin": "root/admin"}
EVERYBODY = (200, 200, 200, 200, 200)
KNOWN = (401, 200, 200, 200, 200)
READ = (401, 404, 200, 200, 200)
AUDITED = (401, 403, 403, 200, 200)
DONE = (401, 404, 204, 403, 204)
ASK = (401, 200, 200, 403, 200)
TABLE: dict[str, tuple[int, int, int, int, int]] = {
    "GET /": KNOWN,
    "GET /conversations": KNOWN,
    "POST /new": ASK,
    "POST /sign-out": KNOWN,
    "GET /signed-out": EVERYBODY,
    "GET /t/{thread}": READ,
    "GET /t/{thread}/events": READ,
    "GET /t/{thread}/export/{kind}": READ,
    "GET /t/{thread}/{turn}/earlier": READ,
    "GET /t/{thread}/{turn}/file/{digest}": READ,
    "GET /t/{thread}/{turn}/text/{digest}": READ,
    "GET /t/{thread}/{turn}/output/{step:int}": READ,
    "GET /t/{thread}/{turn}/table/{step:int}/{number:int}.csv": READ,
    "POST /t/{thread}/ask": DONE,
    "POST /t/{thread}/stop": DONE,
    "POST /t/{thread}/withdraw": (401, 404, 409, 403, 409),
    "GET /t/{thread}/shares": (401, 404, 200, 403, 200),
    "POST /t/{thread}/share": (401, 404, 200, 403, 200),
    "POST /t/{thread}/unshare": (401, 404, 200, 403, 200),
    "POST /t/{thread}/{turn}/retry": DONE,
    "POST /t/{thread}/{turn}/rebuild": (401, 404, 409, 403, 409),
    "POST /t/{thread}/{turn}/approve/{digest}": (401, 404, 409, 403, 409),
    "POST /t/{thread}/{turn}/decline/{digest}": (401, 404, 409, 403, 409),
    "POST /t/{thread}/{turn}/edit": (401, 404, 200, 403, 200),
    "POST /t/{thread}/{turn}/fork": (401, 404, 200, 403, 200),
    "GET /s/{secret}": EVERYBODY,
    "GET /s/{secret}/events": EVERYBODY,
    "GET /s/{secret}/export/{kind}": EVERYBODY,
    "GET /s/{secret}/{turn}/earlier": EVERYBODY,
    "GET /s/{secret}/{turn}/file/{digest}": EVERYBODY,
    "GET /s/{secret}/{turn}/text/{digest}": EVERYBODY,
    "GET /s/{secret}/{turn}/output/{step:int}": EVERYBODY,
    "GET /s/{secret}/{turn}/table/{step:int}/{number:int}.csv": EVERYBODY,
    "GET /audit": AUDITED,
    "GET /audit/totals": AUDITED,
    "GET /audit/chain": AUDITED,
    "GET /audit/chain/verify": AUDITED,
    "GET /audit/export/{format}": AUDITED,
    "GET /static": EVERYBODY,
    "GET /api/openapi.json": EVERYBODY,
    "GET /api/me": KNOWN,
    "GET /api/threads": KNOWN,
    "POST /api/threads": (401, 202, 202, 403, 202),
    "GET /api/threads/{thread}": READ,
    "GET /api/threads/{thread}/turns": READ,
    "GET /api/threads/{thread}/turns/{turn}": READ,
    "GET /api/threads/{thread}/turns/{turn}/files/{digest}": READ,
    "POST /api/threads/{thread}/questions": (401, 404, 202, 403, 202),
    "GET /api/threads/{thread}/events": READ,
    "POST /api/threads/{thread}/turns/{turn}/approve/{digest}": (401, 404, 409, 403, 409),
    "POST /api/threads/{thread}/turns/{turn}/decline/{digest}": (401, 404, 409, 403, 409),
    "POST /api/threads/{thread}/stop": DONE,
    "GET /api/threads/{thread}/export/{kind}": READ,
    "GET /api/schedules": KNOWN,
}
"""For each route, what becomes of a request of each of WHO."""
ELSEWHERE = {"/sign-in", "/sign-in/done", "/healthz", "/readyz", "/metrics"}
"""Routes that gates and operations add: tests/web/test_oidc.py and tests/operations have them."""
LISTS = ("GET /audit", "GET /audit/totals", "GET /audit/chain")
"""Lists of everybody's runs: looking at them is recorded."""
FORMS = {"share": {"days": "7"}, "unshare": {"value": "0"}, "withdraw": {"value": "none"}}


def every_route() -> Iterator[str]:
    for route in routes():
        if isinstance(route, Mount):
            yield f"GET {route.path}"
        else:
            assert isinstance(route, Route)
            yield from (f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"})


def test_what_else_the_site_may_have_is_known() -> None:
    issuer = Issuer(address="https://a.example", client_id="c", client_secret="s", scopes="openid")
    gates = (OidcGate(issuer, People(), ""), ProxyGate(Proxies(), People(), user="X-User", email=""))
    operations = Operations(watch=None)  # type: ignore[arg-type]
    added = {route.path for each in (*gates, operations) for route in each.routes() if isinstance(route, Route)}
    assert added == ELSEWHERE


def test_every_route_has_its_line_in_the_table() -> None:
    assert sorted(every_route()) == sorted(TABLE)


async def filled(place: Place) -> dict[str, str]:
    """A conversation of Ann's in which all there is to be seen can be seen; returns what stands for the names in paths."""
    thread, file = ThreadId("web:of-ann"), File.of("result.txt", b"42\n")
    table = Table(columns=("a",), rows=(("1",),), total_rows=1, total_columns=1)
    await place.core.accept(Incoming(id="1", thread=thread, author=Author(id="ann", name="Ann"), text="Whose?"))
    turn = await place.core.answer("Ann's.", [make.step(execution=replace(make.ran("4\n"), files=(file,), tables=(table,)))])
    secret = await place.core.desk.share(thread, Author(id="ann", name="Ann"), 1)
    return {"thread": thread, "turn": turn.id, "digest": file.digest, "secret": secret, "kind": "md", "format": "csv", "step:int": "0", "number:int": "0"}


async def status(client: httpx.AsyncClient, route: str, names: dict[str, str], headers: dict[str, str]) -> int:
    """Ask, and do not wait for streams to end."""
    method, _, path = route.partition(" ")
    address = re.sub(r"{([\w:]+)}", lambda found: quote(names[found[1]], safe=""), path) + ("/app.css" if path == "/static" else "")
    body: dict[str, Any] = {}
    if method == "POST":
        body = {"json": {"text": "And?"}} if path.startswith("/api/") else {"data": FORMS.get(path.rpartition("/")[2], {"text": "And?"})}
    async with client.stream(method, address, headers=headers, **body) as answer:
        return answer.status_code


@pytest.mark.parametrize("route", TABLE)
async def test_everybody_gets_what_the_table_says_and_looks_at_others_are_recorded(route: str) -> None:
    async with served(gate=NamedGate()) as place, place.client(follow_redirects=False) as client:
        names = await filled(place)
        for (who, person), expected in zip(WHO.items(), TABLE[route], strict=True):
            client.cookies.clear()
            told = {**HTML, "x-csrf-token": "token"} | ({"x-person": person} if person else {})
            if person:
                await client.get("/", headers=told)
            before = {kind: len(await place.records(kind)) for kind in (Deed.VIEWED, Deed.REFUSED)}
            assert (who, await status(client, route, names, told)) == (who, expected)
            new = {kind: (await place.records(kind))[: len(await place.records(kind)) - count] for kind, count in before.items()}
            concerns = "{thread}" in route
            looked = [(record.entry.author.id, record.entry.thread, record.entry.subject) for record in new[Deed.VIEWED] if record.entry.author]
            by_link = "/s/" in route and who in ("other", "auditor", "admin")
            seen_as = f"link {hashlib.sha256(names['secret'].encode()).hexdigest()[:12]}" if by_link else route
            recorded = by_link or ((concerns or route in LISTS) and who in ("auditor", "admin"))
            assert looked == ([(person.partition("/")[0], names["thread"] if concerns or by_link else "", seen_as)] if recorded else [])
            refused = [(record.entry.author.id, record.entry.thread, record.entry.subject) for record in new[Deed.REFUSED] if record.entry.author]
            audited = "GET /audit" in route and who in ("other", "participant")
            assert refused == ([(person.partition("/")[0], names["thread"] if concerns else "", route)] if audited or (concerns and who == "other") else [])


@pytest.mark.parametrize("route", [route for route in TABLE if " /api/" in route])
@pytest.mark.parametrize(("role", "column"), [(Role.MEMBER, 1), (Role.AUDITOR, 3), (Role.ADMIN, 4)])
async def test_tokens_may_do_what_their_role_may(route: str, role: Role, column: int) -> None:
    async with served() as place, httpx.AsyncClient(base_url=place.base, timeout=30) as client:
        names = await filled(place)
        headers = {"authorization": f"Bearer {await create(place.core.store, 'ci', role, None)}"}
        assert await status(client, route, names, headers) == TABLE[route][column]


@pytest.mark.parametrize("route", [route for route in TABLE if route.startswith("POST")])
async def test_nothing_is_changed_without_the_token_of_the_page(route: str) -> None:
    async with served(gate=NamedGate()) as place, place.client() as client:
        names = await filled(place)
        for given in ({}, {"x-csrf-token": ""}, {"x-csrf-token": "guess"}):
            await client.get("/", headers={"x-person": "ann/member"})
            assert await status(client, route, names, {"x-person": "ann/member", **given}) == 403


async def test_what_there_is_not_answers_as_what_is_not_open() -> None:
    async with served(gate=NamedGate()) as place, place.client() as client:
        await filled(place)
        told = {"x-person": "bob/member", "accept": "*/*"}
        await client.get("/", headers=told)
        for path in ("/t/{}", "/api/threads/{}", "/api/threads/{}/turns", "/t/{}/export/md"):
            theirs = await client.get(path.format("web%3Aof-ann"), headers=told)
            nobodys = await client.get(path.format("web%3Aof-bnn"), headers=told)
            assert (theirs.status_code, theirs.content, dict(theirs.headers) | {"date": ""}) == (
                nobodys.status_code,
                nobodys.content,
                dict(nobodys.headers) | {"date": ""},
            )


async def test_lists_have_what_is_open_and_nothing_else() -> None:
    async with served(gate=NamedGate()) as place, place.client() as client:
        await filled(place)
        for person, seen in (("bob/member", False), ("ann/member", True), ("aud/auditor", True), ("root/admin", True)):
            for path in ("/", "/conversations", "/conversations?text=whose", "/api/threads", "/api/threads?text=whose"):
                shown = await client.get(path, headers={"x-person": person})
                assert ("of-ann" in shown.text) is seen
                assert ("Whose?" in shown.text) is seen
