"""An answer that is read from the store while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

T = TypeVar("T")


async def unless_left(request: Request, work: Awaitable[T]) -> T:
    """Wait for what has to be there before an answer can begin. Raises ClientDisconnect as soon as the browser has left."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for each in (working, leaving):
            each.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class LongRead(StreamingResponse):
    """Sends pieces, and closes what it reads from at once, however it ends: at its end, by a failure, or since the browser left."""

    def __init__(self, pieces: AsyncGenerator[str | bytes], kind: str, held: AsyncExitStack, headers: Mapping[str, str] | None = None) -> None:
        """Take the pieces, and what is held while they are sent."""
        super().__init__(pieces, headers=headers, media_type=kind)
        self._pieces, self._held = pieces, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it."""
        async with self._held, aclosing(self._pieces):
            await super().__call__(scope, receive, send)
