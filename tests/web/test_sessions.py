"""Sessions end on the server: a copy of a cookie is good for nothing after them, whoever has it and whichever worker is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.web.operations import Operations
from codeact_bot.cli import dispatch, parser
from codeact_bot.errors import CodeactError, StoreUnavailable
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.tokens import create
from codeact_bot.types import Author, Deed, Incoming, People, Role, SignIn, ThreadId
from tests.web.provider import ADA, Provider, provided
from tests.web.staff import Place, csrf, served
from tests.web.test_oidc import gate

pytestmark = pytest.mark.timeout(120)

PERSON = "4711@127.0.0.1"
PLAIN = {"accept": "*/*"}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provided() as made:
        yield made


def cookie(client: httpx.AsyncClient) -> str:
    """The value of the session's cookie; its name tells on which port one signed in."""
    (value,) = client.cookies.values()
    return value


def with_copy(place: Place, value: str) -> httpx.AsyncClient:
    """Another browser, to which a cookie was copied."""
    return place.client(follow_redirects=False, cookies={f"codeact-{httpx.URL(place.base).port}": value})


async def comes_in(client: httpx.AsyncClient) -> bool:
    answers = [await client.get(path, headers=PLAIN) for path in ("/", "/api/me", "/t/web%3Anone")]
    assert {answer.status_code == 401 for answer in answers} in ({True}, {False})
    return answers[0].status_code == 200


async def signed_out(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert (await client.post("/sign-out", headers={"x-csrf-token": csrf(page.text)})).json() == {"location": "/signed-out"}


async def test_who_signs_out_is_out_with_every_copy_of_the_cookie_at_every_worker(provider: Provider) -> None:
    async with served(gate(provider)) as one, served(gate(provider), one.core.store) as two, one.client() as here, one.client() as elsewhere:
        for client in (here, elsewhere):
            await client.get("/")
        copy = cookie(here)
        async with with_copy(one, copy) as thief, with_copy(two, copy) as other:
            assert [await comes_in(each) for each in (here, thief, other)] == [True] * 3
            await signed_out(here)
            assert [await comes_in(each) for each in (here, thief, other)] == [False] * 3
        assert await comes_in(elsewhere), "another browser of the same person stays signed in"
        assert (await one.records(Deed.SESSION))[0].entry.subject == "signed out"
    said = [(each.entry.author, each.entry.subject) for each in await one.records(Deed.SESSION)]
    ada = Author(id=PERSON, name="Ada")
    assert said == [(ada, "signed out"), (ada, "signed in"), (ada, "signed in")]


async def test_the_link_of_the_terminal_begins_a_session_that_ends_likewise() -> None:
    async with served() as place, place.client() as client:
        assert (await client.get(place.links[0])).status_code == 200
        async with with_copy(place, cookie(client)) as thief:
            assert await comes_in(thief)
            await signed_out(client)
            assert not await comes_in(thief)


async def test_signing_in_again_ends_the_session_before(provider: Provider) -> None:
    async with served(gate(provider)) as place, place.client() as client:
        await client.get("/")
        async with with_copy(place, cookie(client)) as thief:
            assert (await client.get("/sign-in")).status_code == 200
            assert await comes_in(client)
            assert not await comes_in(thief)


async def test_a_secret_is_good_for_its_own_person_alone(provider: Provider) -> None:
    """Who can sign cookies, but not write to the database, cannot become somebody else."""
    async with served(gate(provider)) as place, place.client() as client:
        await client.get("/")
        (kept,) = await place.core.store.sign_ins()
        await place.core.store.end_sign_in(kept.id)
        await place.core.store.save_sign_in(SignIn(id=kept.id, person=Author(id="bob", name="Bob"), made=kept.made, until=kept.until))
        assert not await comes_in(client)


@pytest.mark.needs("mongo")
async def test_an_admin_signs_somebody_out_everywhere(
    provider: Provider, mongo_url: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("CODEACT_MONGO_URL", mongo_url)
    monkeypatch.setenv("CODEACT_DATABASE", database := f"test-{httpx.URL(provider.address).port}")

    async def command(*words: str) -> str:
        assert await dispatch(parser().parse_args(["sign-ins", *words])) == 0
        return capfd.readouterr().out

    store = await MongoStore.open(mongo_url, database)
    try:
        async with served(gate(provider), store) as place, place.client() as ada, place.client() as again, place.client() as bob:
            for client in (ada, again):
                await client.get("/")
            provider.person = {**ADA, "sub": "1", "name": "Bob"}
            await bob.get("/")
            assert [line.split("\t")[:2] for line in (await command()).splitlines()] == [[PERSON, "Ada"], [PERSON, "Ada"], ["1@127.0.0.1", "Bob"]]
            assert await command("end", PERSON) == f"{PERSON} is signed out in 2 browsers.\n"
            assert [await comes_in(each) for each in (ada, again, bob)] == [False, False, True]
            with pytest.raises(CodeactError, match="not signed in anywhere"):
                await command("end", PERSON)
            with pytest.raises(CodeactError, match="name somebody by their id"):
                await command("end")
            record = (await place.records(Deed.SESSION))[0].entry
            assert (record.subject, record.text) == ("ended", PERSON)
            assert await dispatch(parser().parse_args(["forget", "1@127.0.0.1"])) == 0
            assert not await comes_in(bob)
    finally:
        await store.aclose()


@pytest.mark.parametrize("path", ["/t/web%3A1/events", "/api/threads/web%3A1/events"])
async def test_a_stream_that_goes_on_ends_with_the_session_it_was_opened_in(provider: Provider, path: str) -> None:
    async with served(gate(provider)) as one, served(gate(provider), one.core.store) as two, one.client() as client:
        await client.get("/")
        await one.core.accept(Incoming(id="1", thread=ThreadId("web:1"), author=Author(id=PERSON, name="Ada"), text="Mine"))
        async with with_copy(two, cookie(client)) as thief, thief.stream("GET", path, headers=PLAIN) as stream:
            assert stream.status_code == 200
            await signed_out(client)
            rest = [line async for line in stream.aiter_lines()]
            assert "event: rest" not in rest


async def test_a_programs_stream_ends_with_its_token() -> None:
    async with served() as place, place.client() as client:
        headers = {"authorization": f"Bearer {await create(place.core.store, 'ci', Role.ADMIN, None)}"}
        await place.core.accept(Incoming(id="1", thread=ThreadId("web:1"), author=Author(id="bob", name="Bob"), text="Of Bob"))
        async with client.stream("GET", "/api/threads/web%3A1/events", headers=headers) as stream:
            assert stream.status_code == 200
            await place.core.store.remove_token("ci")
            assert "event: rest" not in [line async for line in stream.aiter_lines()]


class Away(MemoryStore):
    """A store that can be away."""

    away = False

    async def sign_in(self, sign_in_id: str) -> SignIn | None:
        if self.away:
            raise StoreUnavailable("Could not reach MongoDB. Is it running?")
        return await super().sign_in(sign_in_id)


async def test_while_the_database_is_away_nobody_is_let_in_or_out_and_what_is_open_stays_open(provider: Provider) -> None:
    store = Away()
    async with served(gate(provider, People(admins=("*",))), store, operations=Operations(watch=None)) as place, place.client() as client:  # type: ignore[arg-type]
        page = await client.get("/")
        await place.core.accept(Incoming(id="1", thread=ThreadId("web:1"), author=Author(id="bob", name="Bob"), text="Of Bob"))
        store.away = True
        refused = await client.get("/")
        assert (refused.status_code, "Is it running?" in refused.text) == (503, True)
        assert (await client.post("/t/web%3A1/stop", headers={"x-csrf-token": csrf(page.text)})).status_code == 503
        assert [(await client.get(path)).status_code for path in ("/healthz", "/static/app.css", "/signed-out")] == [200] * 3
        store.away = False
        assert await comes_in(client)
