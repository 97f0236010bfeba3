"""A site over real HTTP before the smallest core, for tests of who may do what."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from adapters.web import Gate, Operations, Site, WebAdapter
from codeact_bot.desk import StoreDesk
from codeact_bot.ports import Store
from codeact_bot.types import Author, Deed, Rates, Record, Trail
from tests.adapters.core import Core

OWNER = Author(id="owner", name="Owner")
SECRET = "s" * 40
HTML = {"accept": "text/html"}


@dataclass(kw_only=True)
class Place:
    """A site, and the core behind it."""

    core: Core
    adapter: WebAdapter
    links: list[str]

    @property
    def base(self) -> str:
        return self.links[0].partition("/?")[0]

    def client(self, *, follow_redirects: bool = True, **chosen: object) -> httpx.AsyncClient:
        """A browser without a screen."""
        return httpx.AsyncClient(base_url=self.base, follow_redirects=follow_redirects, timeout=30, headers=HTML, **chosen)  # type: ignore[arg-type]

    async def records(self, kind: Deed) -> list[Record]:
        return list((await self.core.store.records(Trail(kind=kind))).records)


@asynccontextmanager
async def served(gate: Gate | None = None, store: Store | None = None, operations: Operations | None = None, **chosen: object) -> AsyncIterator[Place]:
    """A site that can be reached while the body runs."""
    core, links = Core(), list[str]()
    if store is not None:
        core.store = store  # type: ignore[assignment]
        core.desk = StoreDesk(store)
    told = {"at": "127.0.0.1:0", "secret": SECRET, "owner": OWNER, "rates": Rates(viewer=1e6, address=1e6), **chosen}
    adapter = WebAdapter(Site(**told), core.desk, links.append, gate, operations)  # type: ignore[arg-type]
    core.adapter = adapter
    listening = asyncio.create_task(adapter.listen(core))
    try:
        async with asyncio.timeout(30):
            while not links and not listening.done():
                await asyncio.sleep(0.01)
        yield Place(core=core, adapter=adapter, links=links)
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


def csrf(html: str) -> str:
    """The token that a page's own requests carry."""
    return html.partition('name="csrf" content="')[2].partition('"')[0]
