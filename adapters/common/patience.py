"""Trying again until what is away is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from codeact_bot.errors import StoreUnavailable

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
"""Seconds between attempts: the first, then twice as long each time."""


async def patient(work: Callable[[], Awaitable[T]], *, failures: tuple[type[Exception], ...] = (StoreUnavailable,), failed: str = "") -> T:
    """Repeat until nothing fails, by default while the database is away: a platform may send a message only once.

    `failed` begins the line in the log.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return await work()
        except failures as error:
            log.error("%s%s", failed and f"{failed}, trying again in {wait:.0f} s: ", error, extra={"action": "wait"})
            await asyncio.sleep(wait)
            wait = min(LONGEST_WAIT, wait * 2)
