"""Pages in Chromium that miss nothing: other processes, kill -9, a computer that slept, undone turns, several people at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from adapters.web.proxy import Proxies, ProxyGate
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Incoming, People
from tests import openai_server
from tests.slack.test_serve import serving
from tests.web.conftest import ADA, World, answers, ask, opened, until
from tests.web.test_conversation import SLOW

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]


class Deaf:
    """A site whose worker serves nothing: all turns run in other processes."""

    prefixes = ("nothing:",)

    def __init__(self, world: World) -> None:
        self.site = world.adapter()

    async def listen(self, inbox: object) -> None:
        await self.site.listen(inbox)  # type: ignore[arg-type]

    async def reply(self, turn: object) -> object:
        raise AssertionError("this worker serves nothing")


async def test_what_another_process_prints_is_seen_and_the_next_one_goes_on_after_kill_9(world: World, page: Page, tmp_path: Path, mongo_url: str) -> None:
    assert isinstance(world.store, MongoStore)
    given = {"CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": world.store._database.name, "CODEACT_WEB": "127.0.0.1:0"}
    given |= {"CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true", "CODEACT_LOG_LEVEL": "error"}
    with openai_server.running(first=f"I count slowly.\n\n{SLOW}", failure="The step was interrupted", pause=0.1) as model:
        async with world.worker([], Deaf(world)):  # type: ignore[arg-type]
            await until(lambda: bool(world.links))
            await page.goto(world.links[0])
            await ask(page, "Count.")
            async with serving(tmp_path, OPENAI_BASE_URL=model, **given) as first:
                await expect(page.locator(".turn.live .now .thought")).to_contain_text("I count", timeout=60_000)
                await expect(page.locator(".turn.live .code")).to_contain_text("tick", timeout=60_000)
                output = page.locator(".turn.live .output")
                await expect(output).to_contain_text("tick 3", timeout=60_000)
                await expect(output).to_contain_text("tick 15", timeout=60_000)
                first.kill()
                await first.communicate()
            async with serving(tmp_path, OPENAI_BASE_URL=model, **given):
                await answers(page, 1)
                await expect(page.locator(".answer")).to_contain_text(openai_server.RESULT)
        await expect(page.locator(".turn")).to_have_count(1)
        await expect(page.locator(".step")).to_have_count(2)
        await expect(page.locator(".step").nth(0)).to_contain_text("it may have had effects")
        await expect(page.locator(".now")).to_have_count(0)


class Relay:
    """A way to the server over which nothing comes any more from a certain moment on, and no error either; new connections work."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._awake = [asyncio.Event()]
        self._awake[0].set()

    def sleep(self) -> None:
        """Leave the connections that there are without a word, for good."""
        self._awake[-1].clear()
        self._awake.append(asyncio.Event())
        self._awake[-1].set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        awake = self._awake[-1]
        there, back = await asyncio.open_connection("127.0.0.1", self._port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    await awake.wait()
                    sink.write(data)
                    await sink.drain()
            sink.close()

        try:
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.close()
            with contextlib.suppress(OSError):
                await back.wait_closed()


@asynccontextmanager
async def relayed(base: str) -> AsyncIterator[tuple[Relay, str]]:
    relay, tasks = Relay(int(base.rpartition(":")[2])), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await relay.serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield relay, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_computer_that_slept_catches_up_though_its_connection_says_nothing(world: World, page: Page) -> None:
    async with world.site(["One.", "Two."]) as service, relayed(world.base) as (relay, address):
        await page.goto(world.links[0].replace(world.base, address))
        await ask(page, "First")
        await answers(page, 1)
        relay.sleep()
        (thread,) = await world.store.threads(limit=1)
        await service.accept(Incoming(id="meanwhile", thread=thread.id, author=ADA, text="Asked elsewhere meanwhile"))
        async with asyncio.timeout(60):
            while len(await world.store.turns(thread.id)) < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        await expect(page.locator(".turn")).to_have_count(1)
        await page.evaluate("(real => { Date.now = () => real() + 60000; })(Date.now)")
        await answers(page, 2)
        await expect(page.locator(".answer")).to_have_text(["One.", "Two."])


async def test_an_undone_turn_leaves_open_pages(world: World, page: Page) -> None:
    async with world.site(["One.", "Two.", "Three."]):
        await page.goto(world.links[0])
        for number, text in enumerate(("First", "Second"), start=1):
            await ask(page, text)
            await answers(page, number)
        (thread,) = await world.store.threads(limit=1)
        await world.store.undo(thread.id)
        await expect(page.locator(".asked")).to_have_text(["First"])
        await ask(page, "Third")
        await answers(page, 2)
        await expect(page.locator(".answer")).to_have_text(["One.", "Three."])


async def test_two_people_and_two_tabs_in_one_conversation_at_once(world: World, browser: Browser) -> None:
    gate = ProxyGate(Proxies.of(["127.0.0.1"]), People(admins=("*",)), user="X-User", email="")
    people = [opened(browser, extra_http_headers={"X-User": name}) for name in ("ann", "bob")]
    async with world.site(["One.", SLOW, "Two.", "Three.", "Four."], gate=gate, delay=0.01), people[0] as ann, people[1] as bob:
        await ann.goto(world.links[-1])
        await ask(ann, "What is it?")
        await answers(ann, 1)
        second = await ann.context.new_page()
        for each in (second, bob):
            await each.goto(ann.url)
        pages = (ann, second, bob)
        await ask(ann, "Count slowly")
        for each in pages:
            await expect(each.locator(".turn.live .output")).to_contain_text("tick 3")
        await asyncio.gather(ask(bob, "From Bob"), ask(second, "From Ann"))
        for each in pages:
            await expect(each.locator("#waiting .queued")).to_have_count(2)
        await bob.get_by_role("button", name="Stop").click()
        for each in pages:
            await answers(each, 4)
            await expect(each.locator(".asked")).to_have_count(4)
        said = [await each.locator(".asked").all_inner_texts() for each in pages]
        assert said[0] == said[1] == said[2]
        assert sorted(said[0]) == ["Count slowly", "From Ann", "From Bob", "What is it?"]
        assert await bob.locator(".who strong").all_inner_texts() == await ann.locator(".who strong").all_inner_texts()
