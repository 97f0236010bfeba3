"""The real slack-bolt over real sockets, with the emulator and the proxy of faults behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.slack import SlackAdapter
from codeact_bot.types import Access, Turn
from tests.adapters.core import Core
from tests.slack import emulator, proxy
from tests.slack.emulator import BOT, Emulator
from tests.slack.limits import check_payload


@dataclass(slots=True)
class World:
    """A workspace with two channels, two people and the bot."""

    slack: Emulator
    proxy: proxy.Proxy
    core: Core
    access: Access
    adapter: SlackAdapter = field(init=False)
    _listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.adapter = SlackAdapter(
            bot_token="xoxb-test",
            app_token="xapp-test",
            signing_secret="",
            base_url=f"{self.proxy.address}/api/",
            http="",
            desk=self.core.desk,
            access=self.access,
        )
        self.core.adapter = self.adapter
        before = len(self.proxy.sockets)
        self._listening = asyncio.create_task(self.adapter.listen(self.core))
        await until(lambda: len(self.proxy.sockets) > before)

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            if not self._listening.cancelled():
                self._listening.result()
        self._listening = None

    async def restart(self) -> None:
        """Start the bot anew; the core's store stays."""
        await self.stop()
        await until(lambda: not self.proxy.sockets)
        await self.start()

    async def ask(self, text: str = "What is 2 + 2?", **details: Any) -> str:
        """Let Ann mention the bot in the channel, and wait until the question is kept."""
        before = len(self.core.accepted)
        ts = await self.slack.send(f"<@{BOT}> {text}", **details)
        await until(lambda: len(self.core.accepted) > before)
        return ts

    async def answered(self, text: str = "Done.", **details: Any) -> tuple[Turn, dict[str, Any]]:
        """Answer the question that waits; returns the turn and its first post."""
        turn = await self.core.answer(text, **details)
        channel, _, ts = turn.reply.split(":")
        (post,) = [each for each in await self.slack.messages(channel) if each["ts"] == ts]
        return turn, post


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float = 15.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def access() -> Access:
    return Access()


@asynccontextmanager
async def opened(access: Access, folder: Path) -> AsyncIterator[World]:
    """Open a workspace with the bot in it."""
    async with emulator.running(folder) as slack, proxy.running(slack.address) as between:
        world = World(slack=slack, proxy=between, core=Core(), access=access)
        await world.start()
        try:
            yield world
        finally:
            await world.stop()
        for method, given in between.given:
            check_payload(method, given)


@pytest.fixture
async def world(access: Access, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(access, tmp_path) as world:
        yield world
