"""Waiting for a database that is away, and writing to the end what has to be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from codeact_bot.errors import StoreUnavailable
from codeact_bot.ports import Reply
from codeact_bot.types import Notice

T = TypeVar("T")

log = logging.getLogger(__name__)

AGAIN = 0.5
"""Seconds between attempts."""
NO_STORE = "The database does not answer. Nothing is lost: I wait for it, and go on when it is back."


class Patience:
    """Repeats what the database does not do, and tells the person once for each time that it is away."""

    def __init__(self, seconds: float) -> None:
        """Give up after so many seconds, when a lease that nobody could renew is over."""
        self._seconds = seconds
        self._told = False
        self.reply: Reply | None = None
        """Where to tell it, once there is a post."""

    async def keep(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat until the database does it. Raises StoreUnavailable where that takes too long."""
        clock = asyncio.get_running_loop().time
        failed: float | None = None
        while True:
            try:
                done = await work()
            except StoreUnavailable as error:
                log.error("%s", error, extra={"action": "write"})
                failed = clock() if failed is None else failed
                await self.tell()
                if clock() - failed >= self._seconds:
                    raise
                await asyncio.sleep(AGAIN)
            else:
                self._told = False
                return done

    async def tell(self) -> None:
        """Tell the person that the database is away, unless that was done."""
        if self.reply is not None and not self._told:
            self._told = True
            await self.reply.show(Notice(text=NO_STORE))


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end even when cancelled meanwhile, and only then be cancelled; what it raises after that is logged."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("The end of cancelled work failed: %s", error, extra={"action": "end"})
        raise


@asynccontextmanager
async def giving_way(reply: Reply) -> AsyncIterator[None]:
    """Let a reply write nothing more once its turn goes on elsewhere: a late edit would undo what is shown from there."""
    try:
        yield
    except BaseException:
        await to_the_end(reply.aclose())
        raise
