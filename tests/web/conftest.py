"""The web chat on its real parts: mongod, a sandbox, a worker with a scripted model, Chromium."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

from adapters.web import Gate, Site, WebAdapter
from codeact_bot.agent.loop import Loop
from codeact_bot.desk import StoreDesk
from codeact_bot.model.scripted import Reply, ScriptedModel
from codeact_bot.ports import ChatAdapter, Sandbox, Store
from codeact_bot.sandbox.docker import DockerSandbox
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author
from tests import parts

ADA = Author(id="ada", name="Ada")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SECRET = "s" * 40
UNREACHED = ("Failed to load resource", "Failed to fetch")
"""What a browser says of a server that went away, or answered with an error, as many a test has it do."""


@dataclass(kw_only=True)
class World:
    """A site with a worker behind it."""

    store: Store
    desk: StoreDesk
    sandbox: Sandbox
    links: list[str] = field(default_factory=list)
    """Addresses that were announced."""
    services: list[Service] = field(default_factory=list)

    @property
    def base(self) -> str:
        return self.links[0].partition("/?")[0]

    @asynccontextmanager
    async def worker(self, replies: Sequence[Reply], *adapters: ChatAdapter, delay: float = 0.0, approve: bool = False) -> AsyncIterator[Service]:
        """A worker for these adapters; it ends with the body."""
        async with Sessions(self.sandbox, self.store, pool=0) as sessions:
            model = ScriptedModel(replies, delay=delay)
            service = Service(store=self.store, sessions=sessions, loop=Loop(model=model, approve=approve), adapters=adapters)
            running = asyncio.create_task(service.run())
            try:
                yield service
            finally:
                running.cancel()
                await asyncio.wait([running])

    def adapter(self, *, at: str = "127.0.0.1:0", gate: Gate | None = None, **chosen: object) -> WebAdapter:
        return WebAdapter(Site(at=at, secret=SECRET, owner=ADA, **chosen), self.desk, self.links.append, gate)  # type: ignore[arg-type]

    @asynccontextmanager
    async def site(self, replies: Sequence[Reply], *, delay: float = 0.0, approve: bool = False, **chosen: object) -> AsyncIterator[Service]:
        """The web chat with its worker; returns when it can be reached."""
        before = len(self.links)
        async with self.worker(replies, self.adapter(**chosen), delay=delay, approve=approve) as service:  # type: ignore[arg-type]
            await until(lambda: len(self.links) > before)
            yield service

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A browser without a screen, signed in."""
        async with httpx.AsyncClient(base_url=self.base, follow_redirects=True, timeout=30) as client:
            page = await client.get(self.links[-1])
            assert page.status_code == 200
            client.headers["x-csrf-token"] = csrf(page.text)
            yield client


def csrf(html: str) -> str:
    return html.partition('name="csrf" content="')[2].partition('"')[0]


async def until(fits: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not fits():
            await asyncio.sleep(0.02)


@pytest.fixture(params=["process"])
async def world(request: pytest.FixtureRequest, mongo_url: str) -> AsyncIterator[World]:
    docker = request.param == "docker"
    sandbox: Sandbox = DockerSandbox(image=request.getfixturevalue("docker_image")) if docker else ProcessSandbox(isolation="plain")
    async with AsyncExitStack() as stack:
        store = await MongoStore.open(mongo_url, f"web-{secrets.token_hex(6)}")
        stack.push_async_callback(store.aclose)
        stack.push_async_callback(sandbox.aclose)
        yield World(store=store, desk=StoreDesk(store), sandbox=sandbox)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    parts.need("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=parts.CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which nothing may go wrong: no script's error, nothing that the policy refused."""
    async with opened(browser) as page:
        yield page


@asynccontextmanager
async def opened(browser: Browser, **chosen: object) -> AsyncIterator[Page]:
    context = await browser.new_context(accept_downloads=True, **chosen)  # type: ignore[arg-type]
    page, wrong = await context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" and not any(each in said.text for each in UNREACHED) else None)
    try:
        yield page
    finally:
        await context.close()
    assert wrong == []


async def ask(page: Page, text: str) -> None:
    await page.fill("#question", text)
    await page.press("#question", "Enter")


async def answers(page: Page, count: int) -> None:
    """Wait until so many answers are on the page, and its scripts, without which a page that comes with an answer in it hears no key."""
    await page.locator(".turn .answer").nth(count - 1).wait_for(state="attached", timeout=90_000)
    await page.wait_for_load_state()
