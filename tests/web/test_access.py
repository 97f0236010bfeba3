"""Who comes in, and what is refused: strangers, other sites, rebound names, other people's conversations, bodies that are too large."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Message, Receive

from adapters.web import Viewer
from adapters.web.guards import Bounded
from codeact_bot.types import Author, Incoming, Role, ThreadId
from tests.web.conftest import ADA, World, until

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(120)]
HTML = {"accept": "text/html"}


class NamedGate:
    """Believes what a header says: the people of a test."""

    remedy = "Say who you are."

    def routes(self) -> list[BaseRoute]:
        return []

    async def viewer(self, request: Request) -> Viewer | None:
        name, _, roles = request.headers.get("x-person", "").partition("/")
        if not name:
            return None
        request.session.setdefault("csrf", "token")
        return Viewer(id=name, name=name.title(), roles=frozenset(Role(role) for role in roles.split(",") if role))

    async def stranger(self, request: Request) -> Response | None:
        return None


@pytest.fixture
async def site(world: World) -> AsyncIterator[World]:
    async with world.site(["Done."] * 9):
        yield world


@pytest.fixture
async def team(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A site that people come to by name."""
    async with world.site(["Done."] * 9, gate=NamedGate()), httpx.AsyncClient(base_url=world.base, timeout=30) as client:
        yield client


async def test_the_link_works_once_and_a_new_one_is_shown_to_whom_it_failed(site: World) -> None:
    async with httpx.AsyncClient(base_url=site.base) as first:
        assert (await first.get("/")).status_code == 401
        came = await first.get(site.links[0])
        assert (came.status_code, came.headers["location"]) == (303, "/")
        cookie = came.headers["set-cookie"]
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert (await first.get("/")).status_code == 200
    async with httpx.AsyncClient(base_url=site.base) as second:
        assert (await second.get("/?token=guess")).status_code == 401
        assert len(site.links) == 1
        assert (await second.get(site.links[0])).status_code == 401
        assert len(site.links) == 2
        assert (await second.get(site.links[1])).status_code == 303


async def test_a_session_that_was_tampered_with_counts_for_nothing(site: World) -> None:
    async with site.client() as client:
        ((name, value),) = client.cookies.items()
        payload, _, rest = value.partition(".")
        async with httpx.AsyncClient(base_url=site.base, cookies={name: f"{payload[:-4]}AAAA.{rest}"}) as thief:
            assert (await thief.get("/")).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"])
async def test_a_name_that_is_not_the_sites_is_refused(site: World, host: str) -> None:
    async with site.client() as client:
        assert (await client.get("/", headers={"host": host})).status_code in (400, 421)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-csrf-token": ""},
        {"x-csrf-token": "guess"},
    ],
)
async def test_what_another_site_asks_for_is_not_done(site: World, headers: dict[str, str]) -> None:
    async with site.client() as client:
        refused = await client.post("/new", data={"text": "Do it."}, headers=headers)
        assert refused.status_code == 403
        assert (await client.post("/new", data={"text": "Do it."}, headers={"origin": site.base})).status_code == 200
    assert len(await site.store.threads(limit=9)) == 1


async def test_every_answer_carries_the_policy(site: World) -> None:
    async with site.client() as client:
        for path in ("/", "/nowhere", "/t/web%3Anone", "/static/app.css", "/s/none"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/../adapter.py", "/static/%2e%2e/adapter.py", "/static/..%2fadapter.py", "/static//etc/passwd"])
async def test_no_path_leads_out_of_the_static_files(site: World, path: str) -> None:
    async with site.client() as client:
        answer = await client.get(httpx.URL(site.base).copy_with(raw_path=path.encode()))
        assert answer.status_code in (404, 405)
        assert "import" not in answer.text


async def test_bodies_and_files_that_are_too_large_are_refused(world: World) -> None:
    async with world.site(["Done."], file_bytes=1000), world.client() as client:
        large = await client.post("/new", data={"text": "x"}, files={"files": ("large.bin", b"x" * 1001)})
        assert large.status_code == 413
        assert "large.bin is larger than 1.0 KB" in large.text
        assert (await client.post("/new", data={"text": " "})).status_code == 400


async def test_a_body_that_says_it_is_too_large_is_not_even_read(site: World) -> None:
    host, _, port = site.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /new HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 200000000\r\n\r\n".encode())
    assert b" 413 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_does_not_say_so_is_cut_off() -> None:
    async def app(scope: object, receive: Receive, send: object) -> None:
        while (await receive()).get("more_body"):
            pass

    async def receive() -> Message:
        return {"type": "http.request", "body": b"123456", "more_body": True}

    async def send(message: Message) -> None:
        raise AssertionError("nothing is answered here")

    with pytest.raises(HTTPException) as refused:
        await Bounded(app, 10)({"type": "http", "headers": []}, receive, send)
    assert refused.value.status_code == 413


async def test_a_question_sent_twice_is_asked_once(site: World) -> None:
    async with site.client() as client:
        first = await client.post("/new", data={"text": "One?", "key": "k"})
        where = first.json()["location"]
        for _ in range(2):
            assert (await client.post(f"{where}/ask", data={"text": "Two?", "key": "k2"})).status_code == 204
    (thread,) = await site.store.threads(limit=9)
    async with asyncio.timeout(60):
        while (await site.store.thread(thread.id)).running:
            await asyncio.sleep(0.05)
    assert [turn.incoming.text for turn in await site.store.turns(thread.id)] == ["One?", "Two?"]


async def begun(client: httpx.AsyncClient, person: str) -> str:
    made = await client.post("/new", data={"text": "Mine?"}, headers=told(person))
    return str(made.json()["location"])


def told(person: str) -> dict[str, str]:
    return {"x-person": person, "x-csrf-token": "token", **HTML}


async def test_members_see_their_own_auditors_read_admins_do_all(team: httpx.AsyncClient) -> None:
    await team.get("/", headers=told("ann/member"))
    where = await begun(team, "ann/member")
    await begun(team, "bob/member")
    seen = {name: (await team.get("/conversations", headers=told(name))).text.count("<li>") for name in ("ann/member", "eve/member", "aud/auditor", "root/admin")}
    assert seen == {"ann/member": 1, "eve/member": 0, "aud/auditor": 2, "root/admin": 2}
    reads = {name: (await team.get(where, headers=told(name))).status_code for name in ("ann/member", "bob/member", "aud/auditor", "root/admin")}
    assert reads == {"ann/member": 200, "bob/member": 404, "aud/auditor": 200, "root/admin": 200}
    writes = {name: (await team.post(f"{where}/stop", headers=told(name))).status_code for name in ("ann/member", "bob/member", "aud/auditor", "root/admin")}
    assert writes == {"ann/member": 204, "bob/member": 404, "aud/auditor": 403, "root/admin": 204}
    for path in ("/events", "/export/md", "/shares"):
        assert (await team.get(where + path, headers=told("bob/member"))).status_code == 404


async def test_files_of_other_conversations_are_not_reached_through_ones_own(team: httpx.AsyncClient, world: World) -> None:
    await team.get("/", headers=told("ann/member"))
    mine, others = await begun(team, "ann/member"), await begun(team, "bob/member")
    threads = {thread.people[0]: thread for thread in await world.store.threads(limit=9)}
    async with asyncio.timeout(60):
        while not await world.store.turns(threads["bob"].id):
            await asyncio.sleep(0.05)
    (theirs,) = await world.store.turns(threads["bob"].id)
    assert (await team.get(f"{others}/{theirs.id}/output/0", headers=told("bob/member"))).status_code == 404
    for path in ("output/0", "table/0/0.csv", "earlier", f"file/{'0' * 64}", f"text/{'0' * 64}"):
        assert (await team.get(f"{mine}/{theirs.id}/{path}", headers=told("ann/member"))).status_code == 404
    for deed in ("retry", "edit", "fork"):
        assert (await team.post(f"{mine}/{theirs.id}/{deed}", headers=told("ann/member"))).status_code == 404


@pytest.mark.parametrize(("answers", "status", "place"), [("own", 403, None), ("here", 204, "web:"), ("there", 204, "here:C1:1.0:1.0")])
async def test_conversations_of_other_platforms_are_answered_as_the_settings_say(world: World, answers: str, status: int, place: str | None) -> None:
    class Slack:
        prefixes = ("slack:",)

        def __init__(self) -> None:
            self.turns: list[object] = []

        async def listen(self, inbox: object) -> None:
            await asyncio.Event().wait()

        async def reply(self, turn: object) -> object:
            from codeact_bot.delivery import Unposted

            self.turns.append(turn)
            return Unposted()

    slack, thread = Slack(), ThreadId("slack:T1:C1:1.0")
    async with world.worker(["First.", "Second."], world.adapter(answers=answers), slack) as service:
        await until(lambda: bool(world.links))
        await service.accept(Incoming(id="1", thread=thread, author=Author(id="U1", name="Bob"), text="In Slack", place="here:C1:1.0:1.0"))
        async with asyncio.timeout(60):
            while not await world.store.turns(thread):
                await asyncio.sleep(0.05)
        async with world.client() as client:
            page = await client.get("/t/slack%3AT1%3AC1%3A1.0")
            assert ("Ask on" in page.text) is (status == 204)
            assert ("Post the answer in Slack, too" in page.text) is (answers == "there")
            asked = await client.post("/t/slack%3AT1%3AC1%3A1.0/ask", data={"text": "From the web", "there": "on"})
            assert asked.status_code == status
            if place is None:
                return
            async with asyncio.timeout(60):
                while len(await world.store.turns(thread)) < 2:
                    await asyncio.sleep(0.05)
    last = (await world.store.turns(thread))[-1]
    assert (last.incoming.place, last.outcome.text if last.outcome else "") == (place, "Second.")
    assert last.incoming.via == ("the web chat" if answers == "there" else "")
    assert len(slack.turns) == (2 if answers == "there" else 1)


async def heard(client: httpx.AsyncClient, address: str, **headers: str) -> tuple[str, list[str]]:
    """The first event of a stream: its id, and the ids of its pieces."""
    position = ""
    async with client.stream("GET", address, headers=headers) as stream:
        async for line in stream.aiter_lines():
            position = line.removeprefix("id: ") if line.startswith("id: ") else position
            if line.startswith("data: "):
                return position, [piece["id"] for piece in json.loads(line.removeprefix("data: "))]
    return position, []


async def test_a_stream_goes_on_after_its_last_event_and_ends_with_its_link(site: World) -> None:
    async with site.client() as client:
        where = (await client.post("/new", data={"text": "One?"})).json()["location"]
        for text in ("Two?", "Three?"):
            await client.post(f"{where}/ask", data={"text": text})
        (thread,) = await site.store.threads(limit=9)
        async with asyncio.timeout(60):
            while len(turns := await site.store.turns(thread.id)) < 3:
                await asyncio.sleep(0.05)
        names = [f"turn-{turn.id}" for turn in turns]
        assert await heard(client, f"{where}/events") == (turns[2].id, [*names, "waiting"])
        assert await heard(client, f"{where}/events?after={turns[0].id}") == (turns[2].id, [*names[1:], "waiting"])
        assert await heard(client, f"{where}/events?after={turns[0].id}", **{"last-event-id": turns[1].id}) == (turns[2].id, [names[2], "waiting"])
        async with client.stream("GET", f"{where}/events", headers={"last-event-id": "gone"}) as stream:
            assert "event: reload" in [line async for line in stream.aiter_lines()], "what the page shows is not in the history any more"

        secret = await site.desk.share(thread.id, ADA, 1)
        async with client.stream("GET", f"/s/{secret}/events") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            (share,) = await site.desk.shares(thread.id)
            await site.desk.unshare(thread.id, share.id, ADA)
            assert "event: reload" in [line async for line in lines]
