"""/healthz, /readyz and /metrics over real sockets: what they say, and to whom."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from adapters.web import Operations, Site, WebAdapter, served
from codeact_bot.desk import StoreDesk
from codeact_bot.errors import ConfigurationInvalid, SandboxUnavailable
from codeact_bot.sandbox.docker import DockerSandbox
from codeact_bot.settings import load
from codeact_bot.site import operations, web
from codeact_bot.types import Author
from tests import parts, replica_set
from tests.operations.worker import Worker, working

ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-token-of-the-test"
PATIENCE = 120
"""Seconds in which something has to be noticed on a busy machine."""

pytestmark = pytest.mark.needs("mongo")


@asynccontextmanager
async def pages(worker: Worker, *, token: str = TOKEN, proxied: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the pages of a worker at their own address."""
    assert worker.app.watch is not None
    async with served(Operations(watch=worker.app.watch, token=token, proxied=proxied), "127.0.0.1:0") as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        yield client


async def until_ready(client: httpx.AsyncClient, ready: bool) -> dict[str, dict[str, object]]:
    """Ask until the worker is ready, or is not; returns the lines by name."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.get("/readyz")
            assert answer.json()["ready"] is (answer.status_code == 200)
            if answer.json()["ready"] is ready:
                return {line["name"]: line for line in answer.json()["checks"]}
            await asyncio.sleep(0.2)


async def test_a_worker_that_works_says_so_line_by_line(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, pages(worker) as client:
        assert (await client.get("/healthz")).text == "alive\n"
        lines = await until_ready(client, True)
        assert set(lines) == {"worker", "MongoDB", "sandbox", "Room"}
        assert lines["sandbox"]["text"] == f"{worker.app.sandbox.name} answers"
        assert {line["remedy"] for line in lines.values()} == {""}
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert "codeact_store_up 1.0" in answer.text


async def test_a_platform_that_is_not_connected_makes_it_unready_and_says_what_to_do(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, pages(worker) as client:
        worker.room.connected = False
        lines = await until_ready(client, False)
        assert lines["Room"] == {"name": "Room", "ok": False, "text": "locked", "remedy": "Find the key."}
        worker.room.connected = True
        await until_ready(client, True)


async def test_a_worker_that_is_told_to_stop_is_not_ready_and_still_alive(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, pages(worker) as client:
        worker.service.leave()
        assert (await until_ready(client, False))["worker"]["text"] == "stopping"
        assert (await client.get("/healthz")).status_code == 200


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[replica_set.ReplicaSet]:
    """A mongod of the test's own, to stop and start."""
    (tmp_path / "mongod").mkdir()
    with replica_set.own(tmp_path / "mongod") as servers:
        yield servers


async def test_a_database_that_is_away_and_comes_back(tmp_path: Path, servers: replica_set.ReplicaSet) -> None:
    """The process lives, says what is missing, and its measures can be read."""
    async with working(tmp_path / "data", servers.url) as worker, pages(worker) as client:
        await until_ready(client, True)
        await asyncio.to_thread(servers.stop, signal.SIGKILL)
        line = (await until_ready(client, False))["MongoDB"]
        assert "Is it running?" in str(line["remedy"]) or "did not answer" in str(line["remedy"])
        assert (await client.get("/healthz")).status_code == 200
        assert "codeact_store_up 0.0" in (await client.get("/metrics")).text
        await asyncio.to_thread(servers.start)
        await until_ready(client, True)
        assert "codeact_store_up 1.0" in (await client.get("/metrics")).text


async def test_strangers_learn_whether_it_is_ready_and_no_more(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, pages(worker) as client:
        await until_ready(client, True)
        for headers in ({"x-forwarded-for": "203.0.113.9"}, {"forwarded": "for=203.0.113.9"}, {"host": "bot.example.org"}):
            stranger = await client.get("/readyz", headers=headers)
            assert (stranger.status_code, stranger.json()) == (200, {"ready": True})
            refused = await client.get("/metrics", headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "codeact_" not in refused.text
            assert (await client.get("/healthz", headers=headers)).status_code == 200
        worker.room.connected = False
        async with asyncio.timeout(PATIENCE):
            while (stranger := await client.get("/readyz", headers={"via": "1.1 proxy"})).status_code == 200:
                await asyncio.sleep(0.2)
        assert (stranger.status_code, stranger.json()) == (503, {"ready": False})


@pytest.mark.parametrize(
    ("token", "given", "status"),
    [(TOKEN, f"Bearer {TOKEN}", 200), (TOKEN, f"bearer {TOKEN}", 200), (TOKEN, "Bearer wrong", 401), (TOKEN, f"Basic {TOKEN}", 401), ("", "Bearer", 401)],
)
async def test_the_token_opens_the_measures_from_everywhere(tmp_path: Path, mongo_url: str, token: str, given: str, status: int) -> None:
    async with working(tmp_path, mongo_url) as worker, pages(worker, token=token, proxied=True) as client:
        assert (await client.get("/metrics")).status_code == 401, "behind a proxy nobody is on this machine"
        answer = await client.get("/metrics", headers={"authorization": given})
        assert answer.status_code == status
        assert ("checks" in (await client.get("/readyz", headers={"authorization": given})).json()) is (status == 200)


@pytest.mark.parametrize("url", ["", "https://codeact.example.org"])
async def test_a_proxy_before_the_web_chat_is_none_before_an_address_of_their_own(tmp_path: Path, mongo_url: str, url: str) -> None:
    settings = load(data=tmp_path, web_url=url, operations="127.0.0.1:0")
    async with (
        working(tmp_path, mongo_url) as worker,
        operations(settings, worker.app.watch) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client,
    ):
        assert (await client.get("/metrics")).status_code == 200
    chat = web(load(data=tmp_path, web_url=url), StoreDesk(worker.app.store), lambda _: None, worker.app.watch)
    assert chat._operations is not None
    assert chat._operations.proxied is bool(url)


@asynccontextmanager
async def site(worker: Worker, *, watched: bool = True) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Serve the web chat of a worker; yields a client and the link for its owner."""
    assert worker.app.watch is not None
    told: asyncio.Queue[str] = asyncio.Queue()
    given = Operations(watch=worker.app.watch, proxied=True) if watched else None
    place = Site(at="127.0.0.1:0", secret="s" * 40, owner=Author(id="ann", name="Ann"))
    adapter = WebAdapter(place, StoreDesk(worker.app.store), told.put_nowait, operations=given)
    serving = asyncio.create_task(adapter.listen(worker.service))
    link = await told.get()
    parts_of_it = urlsplit(link)
    try:
        async with httpx.AsyncClient(base_url=f"{parts_of_it.scheme}://{parts_of_it.netloc}", trust_env=False, timeout=60) as client:
            yield client, link
    finally:
        adapter.leave()
        await serving


async def test_the_web_chat_serves_them_too_and_shows_details_to_its_admin(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, site(worker) as (client, link):
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json() == {"ready": True}
        assert (await client.get("/metrics")).status_code == 401
        await client.get(link)
        assert "checks" in (await client.get("/readyz")).json()
        assert (await client.get("/metrics")).status_code == 200


async def test_the_web_chat_does_not_have_what_has_an_address_of_its_own(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, site(worker, watched=False) as (client, link):
        assert (await client.get("/healthz")).status_code == 401
        await client.get(link)
        assert (await client.get("/metrics")).status_code == 404


async def test_an_address_that_is_taken_or_none_is_a_sentence(tmp_path: Path, mongo_url: str) -> None:
    async with working(tmp_path, mongo_url) as worker, pages(worker) as client:
        given = Operations(watch=worker.app.watch)  # type: ignore[arg-type]
        for at in (f"127.0.0.1:{client.base_url.port}", "9321"):
            with pytest.raises(ConfigurationInvalid, match="CODEACT_OPERATIONS"):
                async with served(given, at):
                    pass


async def test_the_image_is_healthy_while_the_worker_lives(tmp_path: Path, mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the Dockerfile's HEALTHCHECK, run against a real worker, and against none."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    command = json.loads(re.search(r"^HEALTHCHECK .*?CMD (\[.*?\])$", dockerfile, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
    (at,) = re.findall(r"CODEACT_OPERATIONS=(\S+)", dockerfile)
    assert command[0] == "python"

    def check(address: str) -> int:
        lines = [part.replace(f"http://{at}", address) for part in command[1:]]
        assert lines != command[1:], "it asks at the address that the image sets"
        return subprocess.run([sys.executable, *lines], capture_output=True, check=False, timeout=60).returncode

    async with working(tmp_path, mongo_url) as worker, pages(worker) as client:
        assert await asyncio.to_thread(check, str(client.base_url).rstrip("/")) == 0
    assert await asyncio.to_thread(check, f"http://127.0.0.1:{replica_set.free_port()}") != 0


@pytest.mark.needs("docker")
async def test_docker_answers_or_the_sandbox_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    parts.need("docker")
    sandbox = DockerSandbox()
    await sandbox.check()
    await sandbox.aclose()
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    sandbox = DockerSandbox()
    with pytest.raises(SandboxUnavailable, match="Is it running"):
        await sandbox.check()
    await sandbox.aclose()
