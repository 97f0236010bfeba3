"""The HTTP API over real HTTP: what programs can do with a token, and that the document tells the truth (schemathesis)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import negative_data_rejection
from starlette.routing import Route

from adapters.web.api.contract import OPENAPI, OPERATIONS, document
from adapters.web.app import routes
from codeact_bot.ports import Reply
from codeact_bot.store.mongo import MongoStore
from codeact_bot.tokens import create
from codeact_bot.types import CodeStarted, File, Output, Role, Step, Turn, TurnDone
from tests.store import make
from tests.web.staff import Place, csrf, served

SECRET_FILE = File.of("result.txt", b"42\n")


def steps() -> tuple[Step, ...]:
    return (make.step(0, "print(6 * 7)", execution=replace(make.ran("42\n"), files=(SECRET_FILE,))),)


@asynccontextmanager
async def answering(place: Place) -> AsyncIterator[None]:
    """Somebody who answers each question as it comes."""

    async def show(turn: Turn, reply: Reply) -> None:
        await reply.show(CodeStarted(index=0, code="print(6 * 7)"))
        await reply.show(Output(text="42\n"))

    async def answer() -> None:
        while True:
            place.core.arrived.clear()
            while any(thread.running for thread in await place.core.store.threads(limit=1000)):
                await place.core.answer("It is 42.", steps(), show)
            await place.core.arrived.wait()

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def program(place: Place, role: Role = Role.MEMBER, name: str = "ci", lasts: timedelta | None = None) -> httpx.AsyncClient:
    secret = await create(place.core.store, name, role, lasts)
    return httpx.AsyncClient(base_url=place.base, headers={"authorization": f"Bearer {secret}"}, timeout=30)


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.needs("mongo"))])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    store = None
    if request.param == "mongo":
        store = await MongoStore.open(request.getfixturevalue("mongo_url"), "api-" + request.node.name.replace("[", "-").rstrip("]")[-30:])
    try:
        async with served(store=store) as place:
            yield place
    finally:
        if store is not None:
            await store.aclose()


async def test_a_program_asks_follows_reads_downloads_and_exports(place: Place) -> None:
    async with answering(place), await program(place) as client:
        assert (await client.get("/api/me")).json() == {"id": "ci@token", "name": "ci", "role": "member"}
        asked = await client.post("/api/threads", json={"text": "What is six times seven?", "key": "one"})
        assert asked.status_code == 202
        thread = f"/api/threads/{asked.json()['thread']}"
        heard = [event async for event in followed(client, f"{thread}/events")]
        assert [kind for kind, _ in heard][-2:] == ["turn", "rest"]
        (turn,) = [data for kind, data in heard if kind == "turn"]
        assert (turn["question"], turn["answer"], turn["ending"]) == (asked.json()["question"], "It is 42.", "answered")
        assert (turn["steps"][0]["code"], turn["steps"][0]["result"]["output"]) == ("print(6 * 7)", "42\n")
        assert (await client.get(f"{thread}/turns")).json() == {"turns": [turn], "next": ""}
        assert (await client.get(f"{thread}/turns/{turn['id']}")).json() == turn
        (file,) = turn["steps"][0]["result"]["files"]
        kept = await client.get(f"{thread}/turns/{turn['id']}/files/{file['digest']}")
        assert (kept.content, kept.headers["content-disposition"].partition(";")[0]) == (b"42\n", "attachment")
        assert json.loads((await client.get(f"{thread}/export/json")).content)["turns"][0]["id"] == turn["id"]
        again = await client.post("/api/threads", json={"text": "What is six times seven?", "key": "one"})
        assert again.json() == asked.json()
        assert [each["id"] for each in (await client.get("/api/threads?text=seven")).json()["threads"]] == [asked.json()["thread"]]
        assert (await client.get("/api/threads?text=eight")).json() == {"threads": [], "next": ""}
    assert len(place.core.accepted) == 1


async def followed(client: httpx.AsyncClient, address: str) -> AsyncIterator[tuple[str, dict[str, object]]]:
    async with client.stream("GET", address) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


async def test_a_turn_that_runs_is_followed_as_it_goes_and_nothing_is_heard_twice(place: Place) -> None:
    async with await program(place) as client:
        thread = (await client.post("/api/threads", json={"text": "Slowly"})).json()["thread"]
        lease, turn, reply = await place.core.begin()
        heard: list[tuple[str, dict[str, object]]] = []

        async def listen() -> None:
            async for event in followed(client, f"/api/threads/{thread}/events"):
                heard.append(event)

        listening = asyncio.create_task(listen())
        await reply.show(CodeStarted(index=0, code="wait()"))
        async with asyncio.timeout(30):
            while not heard:
                await asyncio.sleep(0.01)
        assert heard[-1][0] == "progress"
        assert heard[-1][1]["code"] == "wait()"
        assert (await client.post(f"/api/threads/{thread}/stop")).status_code == 204
        done = await place.core.end(lease, turn, "Now.")
        await reply.show(TurnDone(turn=done))
        async with asyncio.timeout(30):
            await listening
        assert [kind for kind, _ in heard if kind != "progress"] == ["turn", "rest"]
        assert [kind async for kind, _ in followed(client, f"/api/threads/{thread}/events?after={turn.id}")] == ["rest"]
    assert place.core.stopped == [thread]


async def test_lists_go_on_page_by_page(place: Place) -> None:
    async with answering(place), await program(place) as client:
        for number in range(5):
            thread = (await client.post("/api/threads", json={"text": f"Question {number}"})).json()["thread"]
            assert [kind async for kind, _ in followed(client, f"/api/threads/{thread}/events")][-1] == "rest"
        threads, after = [], ""
        while True:
            page = (await client.get("/api/threads", params={"limit": 2, "after": after})).json()
            threads += [each["id"] for each in page["threads"]]
            after = page["next"]
            if not after:
                break
        assert len(threads) == len(set(threads)) == 5
        for number in range(3):
            await client.post(f"/api/threads/{threads[0]}/questions", json={"text": f"More {number}"})
            assert [kind async for kind, _ in followed(client, f"/api/threads/{threads[0]}/events")][-1] == "rest"
        texts, before = [], ""
        while True:
            page = (await client.get(f"/api/threads/{threads[0]}/turns", params={"limit": 3, "before": before})).json()
            texts += [each["text"] for each in page["turns"]]
            before = page["next"]
            if not before:
                break
        assert [text.split()[0] for text in texts] == ["More", "More", "More", "Question"]


async def test_files_come_with_a_question_and_too_large_ones_are_refused_with_a_sentence() -> None:
    async with served(file_bytes=1000) as place, await program(place) as client:
        sent = await client.post("/api/threads", data={"text": "Sum it."}, files=[("files", ("a.csv", b"1\n2\n")), ("files", ("a.csv", b"3\n"))])
        assert sent.status_code == 202
        assert [(file.name, file.data) for file in place.core.accepted[0].files] == [("a.csv", b"1\n2\n"), ("a-2.csv", b"3\n")]
        large = await client.post("/api/threads", data={"text": "Sum it."}, files=[("files", ("big.csv", b"x" * 1001))])
        assert (large.status_code, large.json()) == (413, {"error": "big.csv is larger than 1.0 KB, which is as much as one file may have."})
        many = await client.post("/api/threads", data={"text": "Sum it."}, files=[("files", (f"{n}.csv", b"1")) for n in range(21)])
        assert (many.status_code, "Maximum number of files is 20" in many.text) == (400, True)
        assert (await client.post("/api/threads", content=b"text=x", headers={"content-type": "text/plain"})).status_code == 415
    assert len(place.core.accepted) == 1


async def test_a_large_file_is_refused_before_it_has_arrived() -> None:
    async with served(file_bytes=1000) as place, await program(place) as client:
        host, _, port = place.base.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/threads HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {client.headers['authorization']}\r\n"
        kind = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000000\r\n\r\n"
        part = '--x\r\nContent-Disposition: form-data; name="files"; filename="endless.bin"\r\n\r\n' + "x" * 2000
        writer.write((head + kind + part).encode())
        async with asyncio.timeout(30):
            told = await reader.readuntil(b"}")
        assert b"413" in told.partition(b"\r\n")[0]
        assert b"endless.bin is larger than 1.0 KB" in told
        writer.close()


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer codeact_guess", "Basic Y2k6eA=="])
async def test_without_a_good_token_nothing_is_told(given: str) -> None:
    async with served() as place:
        over = await create(place.core.store, "over", Role.ADMIN, timedelta(seconds=-1))
        void = await create(place.core.store, "void", Role.ADMIN, None)
        await place.core.store.remove_token("void")
        async with httpx.AsyncClient(base_url=place.base) as client:
            for header in (given, f"Bearer {over}", f"Bearer {void}"):
                for each in OPERATIONS:
                    refused = await client.request(each.method, each.path, headers={"authorization": header} if header else {})
                    assert refused.status_code == 401
                    assert refused.headers["www-authenticate"].startswith("Bearer")
                    assert set(refused.json()) == {"error"}


async def test_a_token_opens_the_api_alone_and_needs_no_csrf_token() -> None:
    async with served() as place, await program(place, Role.ADMIN) as client:
        assert (await client.get("/")).status_code == 401
        assert (await client.post("/new", data={"text": "x"})).status_code == 401
        assert (await client.post("/api/threads", json={"text": "x"})).status_code == 202


async def test_a_session_opens_the_api_with_the_csrf_token_only() -> None:
    async with served() as place, place.client() as client:
        page = await client.get(place.links[0])
        assert (await client.get("/api/me")).json()["role"] == "admin"
        assert (await client.post("/api/threads", json={"text": "x"})).status_code == 403
        assert (await client.post("/api/threads", json={"text": "x"}, headers={"x-csrf-token": csrf(page.text)})).status_code == 202


def test_the_document_has_every_route_of_the_api_and_no_other() -> None:
    served_here = {(route.path, method) for route in routes() if isinstance(route, Route) for method in route.methods or () if route.path.startswith("/api/")}
    described = {(path, method.upper()) for path, methods in document()["paths"].items() for method in methods}
    assert served_here - {(path, "HEAD") for path, _ in served_here} == described | {(OPENAPI, "GET")}
    names = [each.name for each in OPERATIONS]
    assert len(set(names)) == len(names)


@dataclass(frozen=True)
class Known:
    """A site that answers in a thread of its own, and what there is in it."""

    base: str
    secret: str
    thread: str
    turn: str
    digest: str


@pytest.fixture(scope="module")
def known() -> Iterator[Known]:
    ready, done, found = threading.Event(), threading.Event(), list[Known]()

    async def run() -> None:
        async with served() as place, answering(place), await program(place, Role.ADMIN) as client:
            thread = (await client.post("/api/threads", json={"text": "First"})).json()["thread"]
            turns = [data async for kind, data in followed(client, f"/api/threads/{thread}/events") if kind == "turn"]
            secret = client.headers["authorization"].removeprefix("Bearer ")
            found.append(Known(place.base, secret, thread, str(turns[0]["id"]), SECRET_FILE.digest))
            ready.set()
            await asyncio.to_thread(done.wait)

    serving = threading.Thread(target=lambda: asyncio.run(run()))
    serving.start()
    try:
        assert ready.wait(60)
        yield found[0]
    finally:
        done.set()
        serving.join()


SCHEMA = schemathesis.openapi.from_dict(dict(document()))


@pytest.mark.timeout(600)
@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_the_document_tells_the_truth(case: Case, known: Known) -> None:
    headers = {"Authorization": f"Bearer {known.secret}"}
    # In a form every value is text: a "boolean" that it sends instead of one is one.
    excluded = [negative_data_rejection] if (case.media_type or "").startswith("multipart/") else []
    case.call_and_validate(base_url=known.base, headers=headers, timeout=120, excluded_checks=excluded)
    if case.path_parameters:
        there = {"thread": known.thread, "turn": known.turn, "digest": known.digest}
        case.path_parameters.update({name: value for name, value in there.items() if name in case.path_parameters})
        case.call_and_validate(base_url=known.base, headers=headers, timeout=120, excluded_checks=excluded)
