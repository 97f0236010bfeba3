"""Long reads of the audit over real HTTP: few at once, nothing held up by them, and nothing left behind by a browser that leaves."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from codeact_bot import auditing, ledgers
from codeact_bot.store.memory import MemoryStore
from codeact_bot.types import Query, RunPage, ThreadId
from tests.store.make import answered, message, ran, step
from tests.web.staff import Place, served

pytestmark = pytest.mark.timeout(120)
RUNS = 6


class Gated(MemoryStore):
    """A store whose lists come when they are let."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.asked, self.pages = asyncio.Event(), 0, 0
        self.let.set()

    async def search(self, query: Query) -> RunPage:
        """The second page and all later ones wait."""
        self.asked += 1
        if query.cursor:
            await self.let.wait()
        self.pages += 1
        return await super().search(query)


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gated:
    monkeypatch.setattr(ledgers, "PAGE", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Gated()
    for number in range(RUNS):
        await answered(made, message(f"e{number}", ThreadId(f"web:{number}")), step(execution=ran(error="KeyError")))
    return made


@pytest.fixture
async def place(store: Gated) -> AsyncIterator[Place]:
    async with served(store=store) as place:
        yield place


async def until(fits: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not fits():
            await asyncio.sleep(0.01)


async def begun(place: Place, client: httpx.AsyncClient, path: str) -> asyncio.StreamWriter:
    """A browser that has asked for something, and that can leave at any time."""
    at = urlsplit(place.base)
    _, writer = await asyncio.open_connection(at.hostname, at.port)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {at.netloc}\r\ncookie: {cookies}\r\n\r\n".encode())
    await writer.drain()
    return writer


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
async def test_a_browser_that_leaves_gives_its_turn_back_at_once(place: Place, store: Gated, tmp_path: Path, kind: str) -> None:
    async with place.client() as client:
        await client.get(place.links[0])
        store.let.clear()
        browsers = [await begun(place, client, f"/audit/export/{kind}") for _ in range(2)]
        await until(lambda: store.asked == 4)
        assert len([*tmp_path.iterdir()]) == (2 if kind == "parquet" else 0)
        third = await client.get(f"/audit/export/{kind}")
        assert third.status_code == 429
        assert "Try again in a minute" in third.text
        assert store.asked == 4, "it has not begun to read"
        for browser in browsers:
            browser.close()
            await browser.wait_closed()
        async with asyncio.timeout(30):
            while (await client.get("/audit/chain/verify")).status_code == 429:
                await asyncio.sleep(0.01)
            while [*tmp_path.iterdir()]:
                await asyncio.sleep(0.01)
        assert not store.let.is_set(), "nobody waited for the end of what they read"
        store.let.set()
        assert (await client.get(f"/audit/export/{kind}")).status_code == 200


async def test_while_a_file_is_written_others_are_answered(place: Place, store: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, threads = asyncio.get_running_loop(), set[bool]()
    write = ledgers._Parquet.write

    def watched(self: ledgers._Parquet, runs: object) -> None:
        try:
            asyncio.get_running_loop()
            threads.add(True)
        except RuntimeError:
            threads.add(False)
        write(self, runs)  # type: ignore[arg-type]

    monkeypatch.setattr(ledgers._Parquet, "write", watched)
    async with place.client() as client:
        await client.get(place.links[0])
        assert (await client.get("/audit/export/parquet")).status_code == 200
    assert threads == {False}, "never on the loop's thread"
    assert loop.is_running()


async def test_what_reads_is_closed_with_its_reader(store: Gated, tmp_path: Path) -> None:
    for kind in ledgers.FORMATS:
        pieces = auditing.StoreAuditing(store).runs_file(Query(), kind)
        assert await anext(pieces)
        await pieces.aclose()
        assert [*tmp_path.iterdir()] == []
    store.let.clear()
    writing = asyncio.create_task(ledgers.parquet(store, Query(), tmp_path / "runs.parquet"))
    await until(lambda: store.asked > 0 and (tmp_path / "runs.parquet").exists())
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    (tmp_path / "runs.parquet").unlink()
