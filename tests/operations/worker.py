"""A whole worker for the tests: its app from the settings, with a chat platform of the test's own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from codeact_bot import app
from codeact_bot.app import App
from codeact_bot.ports import Inbox, Reply
from codeact_bot.service import Service
from codeact_bot.settings import load
from codeact_bot.types import Author, Check, Event, Incoming, ThreadId, Turn, TurnDone

ANN = Author(id="U1", name="Ann Example")
THREAD = ThreadId("room:1")
SOON = 60
"""Seconds that an answer may take on a busy machine."""
BROKEN = "Let me compute it.\n\n```python\nprint(power)\n```\n"
FIXED = "I forgot to define it.\n\n```python\npower = 2**100\nprint(power)\n```\n"
"""Two replies of tests.openai_server: code that fails, and the same, mended."""


class Room:
    """A chat platform that keeps what it is shown; implements ChatAdapter."""

    prefixes = ("room:",)

    def __init__(self) -> None:
        self.connected = True
        self.ended: asyncio.Queue[Turn] = asyncio.Queue()
        self.heard: asyncio.Future[Inbox] = asyncio.get_running_loop().create_future()

    async def listen(self, inbox: Inbox) -> None:
        self.heard.set_result(inbox)
        await asyncio.Event().wait()

    async def reply(self, turn: Turn) -> Reply:
        return Post(self)

    async def check(self) -> Check:
        return Check(name="Room", ok=self.connected, text="open" if self.connected else "locked", remedy="" if self.connected else "Find the key.")

    async def ask(self, text: str, name: str = "") -> Turn:
        """Ask something and wait for the end of its turn."""
        inbox = await self.heard
        await inbox.accept(Incoming(id=name or uuid.uuid4().hex, thread=THREAD, author=ANN, text=text))
        async with asyncio.timeout(SOON):
            return await self.ended.get()


@dataclass
class Post:
    """Shows a turn; implements Reply."""

    room: Room
    reference: str = "post"
    shown: list[Event] = field(default_factory=list)

    async def show(self, event: Event) -> None:
        self.shown.append(event)
        if isinstance(event, TurnDone):
            self.room.ended.put_nowait(event.turn)

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class Worker:
    """A worker at work."""

    app: App
    room: Room
    service: Service


@asynccontextmanager
async def working(folder: Path, mongo_url: str, **chosen: object) -> AsyncIterator[Worker]:
    """Run a worker on a real database and, unless chosen otherwise, the process sandbox; it ends with the body."""
    given = {"sandbox": "process", "process_for_others": True, "database": f"test-{uuid.uuid4().hex}", "mongo_url": mongo_url}
    async with app.open_app(load(data=folder, **{**given, **chosen}), app.quiet) as opened:
        room = Room()
        service = opened.service(room)
        running = asyncio.create_task(service.run())
        try:
            yield Worker(opened, room, service)
        finally:
            service.leave()
            await asyncio.wait([running])
            running.result()
