"""From a message that one worker accepts to its claim by another; a part of `python -m benchmarks.state`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence

from codeact_bot.agent.loop import Loop
from codeact_bot.errors import StoreUnavailable
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.ports import Inbox, Reply, Sandbox
from codeact_bot.service import POLL_SECONDS, Service
from codeact_bot.sessions import Sessions
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author, Event, Incoming, Lease, ThreadId, Turn, TurnDone

THREAD = ThreadId("claims:1")


class Watched(MongoStore):
    """The real store; remembers when a message was claimed, and may be without change streams."""

    streams = True
    claimed: dict[str, float]

    async def claim(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Lease | None:
        lease = await super().claim(owner, seconds, prefixes)
        if lease is not None:
            self.claimed[lease.incoming.id] = time.perf_counter()
        return lease

    async def arrivals(self) -> AsyncIterator[None]:
        if not self.streams:
            raise StoreUnavailable("There are no change streams here.")
        async for each in super().arrivals():
            yield each


class Silent:
    """A chat platform that hears nothing, and a post that nobody reads."""

    prefixes = (THREAD,)
    reference = ""

    def __init__(self) -> None:
        self.over, self.ended = asyncio.Event(), asyncio.Event()

    async def listen(self, inbox: Inbox) -> None:
        await self.over.wait()

    async def reply(self, turn: Turn) -> Reply:
        return self

    async def show(self, event: Event) -> None:
        if isinstance(event, TurnDone):
            self.ended.set()

    async def aclose(self) -> None:
        """Nothing is under way."""


async def claims(sandbox: Sandbox, url: str, *, streams: bool, count: int) -> list[float]:
    """Milliseconds from the end of `push` in one store to the end of `claim` in a worker on another."""
    database = f"claims_{'streams' if streams else 'polls'}"
    ours, other = await Watched.open(url, database), await MongoStore.open(url, database)
    ours.streams, ours.claimed = streams, {}
    chat, times, dice = Silent(), [], random.Random(4)
    async with Sessions(sandbox, ours, pool=0) as sessions:
        service = Service(store=ours, sessions=sessions, loop=Loop(model=ScriptedModel(["Yes."] * count)), adapters=[chat])
        running = asyncio.create_task(service.run())
        for number in range(count):
            await asyncio.sleep(POLL_SECONDS * (1 + dice.random()))
            await other.push(Incoming(id=str(number), thread=THREAD, author=Author(id="u", name="Ann"), text="Go."))
            accepted = time.perf_counter()
            await chat.ended.wait()
            chat.ended.clear()
            times.append(1000 * max(0.0, ours.claimed[str(number)] - accepted))
        chat.over.set()
        await running
    await ours.aclose()
    await other.aclose()
    return times
