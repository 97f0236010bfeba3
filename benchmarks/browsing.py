"""Pages of the audit as a browser gets them, over a socket; a part of `python -m benchmarks.audit`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx

from adapters.web import Site, WebAdapter
from adapters.web.audit import link
from codeact_bot.agent.loop import Loop
from codeact_bot.desk import StoreDesk
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author, By, Incoming, Query, Rates

YEAR = "since=2025-11-24&until=2026-11-24"
PATHS = (
    "/audit",
    "/audit?person=U7",
    "/audit?channel=slack:T1:C3&status=failed",
    "/audit?q=word1+word40&error=ParserError",
    "/audit/totals",
    *(f"/audit/totals?by={by}&{YEAR}" for by in By),
    f"/audit/totals?by=day&platform=slack&status=answered&{YEAR}",
    f"/audit/totals?by=day&person=U7&{YEAR}",
    "/audit/chain",
    "/audit/chain?kind=asked&person=U7",
)
MANY = Rates(viewer=1e6, address=1e6)


@asynccontextmanager
async def browsing(store: MongoStore) -> AsyncIterator[dict[str, Callable[[], Awaitable[object]]]]:
    """Serve the site, and ask it for pages as somebody who has signed in; each request ends when the last byte has come."""
    links: list[str] = []
    web = WebAdapter(Site(at="127.0.0.1:0", secret="s" * 40, owner=Author(id="owner", name="Owner"), rates=MANY), StoreDesk(store), links.append)
    sandbox = ProcessSandbox()
    async with Sessions(sandbox, store, pool=0) as sessions:
        running = asyncio.create_task(Service(store=store, sessions=sessions, loop=Loop(model=ScriptedModel([])), adapters=[web]).run())
        try:
            while not links:
                await asyncio.sleep(0.02)
            async with httpx.AsyncClient(base_url=links[0].partition("/?")[0], follow_redirects=True, timeout=60) as client:
                (await client.get(links[0])).raise_for_status()
                run = (await store.search(Query(limit=1))).runs[0]
                await store.push(Incoming(id="next", thread=run.thread, author=run.author, text="And by month?"))
                pages = {f"`{path}`": partial(_asked, client, path) for path in PATHS}
                yield {**pages, "the page of a run's transcript": partial(_asked, client, link(run.thread, run.turn))}
        finally:
            running.cancel()
            await asyncio.wait([running])
    await sandbox.aclose()


async def _asked(client: httpx.AsyncClient, path: str) -> None:
    (await client.get(path)).raise_for_status()
