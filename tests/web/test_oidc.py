"""Signing in with OpenID Connect, against a provider of the test's own: the way in, and every token that must not open it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from playwright.async_api import Page

from adapters.web.identity import SLACK, Identity
from adapters.web.oidc import Issuer, OidcGate
from codeact_bot.types import Author, Deed, Incoming, People, Role, ThreadId
from tests.web.provider import ADA, CLIENT, SECRET, Provider, provided
from tests.web.staff import HTML, Place, csrf, served

EVERYBODY = People(allow=("*",))


def gate(provider: Provider, people: People = EVERYBODY) -> OidcGate:
    return OidcGate(Issuer(address=provider.address, client_id=CLIENT, client_secret=SECRET, scopes="openid email profile"), people, "")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provided() as made:
        yield made


@pytest.fixture
async def place(provider: Provider) -> AsyncIterator[Place]:
    async with served(gate(provider, People(allow=("@example.org",)))) as place:
        yield place


async def test_one_comes_in_by_signing_in_and_back_to_the_page_one_asked_for(place: Place, provider: Provider) -> None:
    async with place.client() as client:
        came = await client.get("/?platform=web")
        assert (came.status_code, str(came.url)) == (200, f"{place.base}/?platform=web")
        (asked,) = provider.asked
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        assert len(asked["nonce"]) >= 20
        assert len(asked["state"]) >= 20
        assert asked["scope"] == "openid email profile"
        asking = await client.post("/new", data={"text": "Mine?"}, headers={"x-csrf-token": csrf(came.text)})
        assert asking.status_code == 200
    (message,) = place.core.accepted
    assert message.author == Author(id="4711@127.0.0.1", name="Ada")


async def test_who_signs_out_is_out(place: Place) -> None:
    async with place.client() as client:
        page = await client.get("/")
        assert '<span>Ada</span> <button type="button" class="tool" data-post="/sign-out">Sign out</button>' in page.text
        assert (await client.post("/sign-out")).status_code == 403
        assert (await client.post("/sign-out", headers={"x-csrf-token": csrf(page.text)})).json() == {"location": "/signed-out"}
        assert "You are signed out" in (await client.get("/signed-out")).text
        assert (await client.get("/", follow_redirects=False)).status_code == 303


async def test_what_no_browser_shows_is_refused_and_sent_nowhere(place: Place, provider: Provider) -> None:
    async with place.client() as client:
        refused = await client.get("/conversations", headers={"accept": "text/event-stream"})
        assert (refused.status_code, refused.text) == (401, f"You are not signed in. {OidcGate.remedy}")
        assert (await client.post("/new", data={"text": "x"})).status_code == 401
    assert provider.asked == []


def spoiled(**claims: Any) -> Callable[[dict[str, Any]], None]:
    return lambda given: given.update(claims)


WRONG: dict[str, Callable[[Provider], object]] = {
    "nonce": lambda provider: setattr(provider, "change", spoiled(nonce="another")),
    "no nonce": lambda provider: setattr(provider, "change", lambda claims: claims.pop("nonce")),
    "audience": lambda provider: setattr(provider, "change", spoiled(aud="another")),
    "audience, for us all the same": lambda provider: setattr(provider, "change", spoiled(aud="another", azp=CLIENT)),
    "party": lambda provider: setattr(provider, "change", spoiled(aud=[CLIENT, "another"], azp="another")),
    "no audience": lambda provider: setattr(provider, "change", lambda claims: claims.pop("aud")),
    "expired": lambda provider: setattr(provider, "change", spoiled(exp=1_700_000_000)),
    "no end": lambda provider: setattr(provider, "change", lambda claims: claims.pop("exp")),
    "issuer": lambda provider: setattr(provider, "change", spoiled(iss="https://accounts.google.com")),
    "no subject": lambda provider: setattr(provider, "change", lambda claims: claims.pop("sub")),
    "unsigned": lambda provider: setattr(provider, "sign", provider.unsigned),
    "signed by another": lambda provider: setattr(provider, "sign", provider.signed_by_another),
    "signed with the secret": lambda provider: setattr(provider, "sign", provider.signed_with_the_secret),
    "signed with what all can read": lambda provider: setattr(provider, "sign", provider.signed_with_what_all_can_read),
    "tampered": lambda provider: setattr(provider, "sign", provider.tampered),
    "nonsense": lambda provider: setattr(provider, "sign", lambda claims: "a.b.c"),
    "none": lambda provider: setattr(provider, "sign", lambda claims: None),
    "denied": lambda provider: setattr(provider, "denies", True),
}


@pytest.mark.parametrize("fault", WRONG)
async def test_a_wrong_token_does_not_let_anybody_in(place: Place, provider: Provider, fault: str) -> None:
    WRONG[fault](provider)
    async with place.client() as client:
        refused = await client.get("/")
        assert refused.status_code in (403, 502), refused.text
        assert "Ada" not in refused.text
        assert len(provider.asked) == 1
        assert (await client.get("/", follow_redirects=False)).headers["location"] == "/sign-in"


async def test_what_the_issuer_sent_opens_once_and_only_where_it_was_asked_for(place: Place) -> None:
    async with place.client(follow_redirects=False) as mine, place.client() as others:
        begun = await mine.get("/sign-in")
        back = (await mine.get(begun.headers["location"])).headers["location"]
        before = dict(mine.cookies)
        assert (await others.get(back)).status_code == 403
        assert (await mine.get(back)).status_code == 303
        assert (await mine.get(back)).status_code == 403
        async with place.client(cookies=before) as again:
            assert (await again.get(back)).status_code == 403


async def test_a_key_that_changed_is_fetched(place: Place, provider: Provider) -> None:
    for _ in range(2):
        async with place.client() as client:
            assert (await client.get("/")).status_code == 200
        provider.new_key()


@pytest.mark.parametrize(("metadata", "people"), [({"issuer": "http://127.0.0.1:1"}, EVERYBODY), ({"authorization_endpoint": None}, EVERYBODY)])
async def test_an_issuer_that_is_not_the_one_is_not_used(provider: Provider, metadata: dict[str, Any], people: People) -> None:
    provider.metadata = metadata
    async with served(gate(provider, people)) as place, place.client() as client:
        refused = await client.get("/")
        assert refused.status_code == 502
        assert "The sign-in server cannot be used now" in refused.text


async def test_an_issuer_that_is_away_is_told_of() -> None:
    async with provided() as provider:
        closed = gate(provider)
    async with served(closed) as place, place.client() as client:
        assert (await client.get("/")).status_code == 502
        assert (await client.get("/signed-out")).status_code == 200


@pytest.mark.parametrize(
    ("people", "claims", "role"),
    [
        (People(allow=("@example.org",)), {}, Role.MEMBER),
        (People(allow=("@EXAMPLE.org",), auditors=("ada@example.org",)), {}, Role.AUDITOR),
        (People(auditors=("@example.org",), admins=("sub:4711",)), {}, Role.ADMIN),
        (People(allow=("*",)), {"email": ""}, Role.MEMBER),
        (People(allow=("@example.com",)), {}, None),
        (People(allow=("example.org", "org", "@org", "sub:47")), {}, None),
        (People(allow=("@example.org",)), {"email_verified": False}, None),
        (People(allow=("@example.org",)), {"email": "ada@example.org@evil.example"}, None),
        (People(allow=("slack:workspace:T1",)), {f"{SLACK}/team_id": "T1", f"{SLACK}/user_id": "U1"}, None),
    ],
)
async def test_the_lists_say_who_comes_in_and_as_what(provider: Provider, people: People, claims: dict[str, Any], role: Role | None) -> None:
    provider.person = {**ADA, **claims}
    async with served(gate(provider, people)) as place, place.client() as client:
        await place.core.accept(Incoming(id="1", thread=ThreadId("web:1"), author=Author(id="bob", name="Bob"), text="Of Bob"))
        came = await client.get("/")
        refused = await place.records(Deed.REFUSED)
        if role is None:
            assert came.status_code == 403
            assert "CODEACT_PEOPLE__ALLOW" in came.text
            assert [(record.entry.author.name, record.entry.subject) for record in refused if record.entry.author] == [("Ada", "web")]
            return
        assert refused == []
        assert ("Of Bob" in came.text) is (role is not Role.MEMBER)
        asked = await client.post("/new", data={"text": "x"}, headers={"x-csrf-token": csrf(came.text)})
        assert asked.status_code == (403 if role is Role.AUDITOR else 200)


def test_sign_in_with_slack_makes_one_the_person_that_the_bot_knows() -> None:
    claims = {**ADA, f"{SLACK}/user_id": "U1", f"{SLACK}/team_id": "T1"}
    slack = Identity.of_claims(SLACK, claims)
    assert slack.id == "U1"
    assert People(allow=("slack:workspace:T1",)).role(slack.subjects) is Role.MEMBER
    assert People(admins=("slack:user:U1",)).role(slack.subjects) is Role.ADMIN
    assert People(allow=("slack:workspace:T2",)).role(slack.subjects) is None
    other = Identity.of_claims("https://evil.example", claims)
    assert other.id == "4711@evil.example"
    assert not any(subject.startswith("slack:") for subject in other.subjects)


async def test_who_is_taken_off_the_list_is_out_with_the_session_they_had(provider: Provider) -> None:
    async with served(gate(provider)) as place, place.client() as client:
        await client.get("/")
        cookies = dict(client.cookies)
    at, store = place.base.removeprefix("http://"), place.core.store
    async with served(gate(provider), store, at=at) as again, again.client(cookies=cookies) as client:
        assert (await client.get("/conversations", headers={"accept": "*/*"})).status_code == 200
    async with served(gate(provider, People(allow=("bob@example.org",))), store, at=at) as later, later.client(cookies=cookies) as client:
        assert (await client.get("/conversations", headers={"accept": "*/*"})).status_code == 401


async def test_a_session_ends_with_its_time(provider: Provider) -> None:
    async with served(gate(provider), session_seconds=1) as place, place.client() as client:
        await client.get("/")
        kept = {cookie.name: str(cookie.value) for cookie in client.cookies.jar}
        async with httpx.AsyncClient(base_url=place.base, cookies=kept) as thief:
            while (await thief.get("/conversations")).status_code != 401:
                pass


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
async def test_signing_in_leads_to_no_other_site(place: Place, path: str) -> None:
    async with place.client() as client:
        await client.get(httpx.URL(place.base).copy_with(raw_path=path.encode()), follow_redirects=False, headers=HTML)
        begun = await client.get("/sign-in", follow_redirects=False)
        back = await client.get((await client.get(begun.headers["location"], follow_redirects=False)).headers["location"], follow_redirects=False)
        assert back.status_code == 303
        assert httpx.URL(place.base).join(back.headers["location"]).host == "127.0.0.1"


async def test_in_a_browser_one_signs_in_and_out_and_an_auditor_sees_no_place_to_ask(provider: Provider, page: Page) -> None:
    async with served(gate(provider, People(allow=("*",), auditors=("bob@example.org",)))) as place:
        await page.goto(f"{place.base}/conversations?text=x")
        assert page.url == f"{place.base}/conversations?text=x"
        await page.goto(place.base)
        assert await page.is_visible("#question")
        await page.click("text=Sign out")
        await page.wait_for_url("**/signed-out")
        provider.person = {**ADA, "sub": "1", "name": "Bob", "email": "bob@example.org"}
        await page.click("text=Sign in again")
        await page.wait_for_url(f"{place.base}/")
        assert await page.is_visible("text=but not ask")
        assert not await page.is_visible("#question")
