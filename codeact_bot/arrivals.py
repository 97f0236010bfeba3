"""Waking up for the messages that other workers take in."""

from __future__ import annotations

import asyncio
import logging

from codeact_bot.errors import StoreUnavailable
from codeact_bot.ports import Store

log = logging.getLogger(__name__)


async def hear(store: Store, wake: asyncio.Event, again: float) -> None:
    """Set `wake` for each message, for ever; where the database does not tell of them, say so once, and try every `again` seconds."""
    said = ""
    while True:
        try:
            async for _ in store.arrivals():
                said = ""
                wake.set()
        except StoreUnavailable as error:
            if str(error) != said:
                said = str(error)
                log.warning("Messages that other workers take in are noticed every %.1f s for now: %s", again, said, extra={"action": "wake"})
        await asyncio.sleep(again)
