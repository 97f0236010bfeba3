"""`codeact-bot chat` and `codeact-bot demo`: the terminal chat on the configured parts."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from adapters.console import About, ConsoleAdapter, Foot, Line
from adapters.console.blocks import note
from codeact_bot import log
from codeact_bot.api import new_thread
from codeact_bot.app import App, open_app
from codeact_bot.desk import StoreDesk
from codeact_bot.errors import ThreadNotFound
from codeact_bot.export import export
from codeact_bot.screen import Screen
from codeact_bot.settings import Settings, load
from codeact_bot.site import installed, open_browser, web
from codeact_bot.types import Author, Ending, Entry, File, Fork, ThreadId, Turn
from codeact_bot.user import user

if TYPE_CHECKING:
    from adapters.web import WebAdapter

PLATFORM = "terminal"


@dataclass(frozen=True, slots=True)
class TerminalDesk:
    """What the terminal's slash commands need from the core."""

    app: App

    async def files(self, thread: ThreadId) -> Sequence[tuple[str, int]]:
        """List the working folder."""
        return await self.app.sessions.of(thread).files()

    async def fetch(self, thread: ThreadId, name: str) -> File:
        """Read a file of the working folder."""
        return await self.app.sessions.of(thread).get(name, limit=self.app.settings.bounds.file_bytes)

    async def load(self, file: File) -> bytes:
        """Read the bytes of a file that the store keeps."""
        return file.data if file.data is not None else await self.app.store.load_file(file.digest)

    async def history(self, thread: ThreadId) -> Sequence[Turn]:
        """The conversation's ended turns."""
        return await self.app.store.turns(thread)

    async def last(self, thread: ThreadId) -> Turn | None:
        """The conversation's last ended turn."""
        return next(iter(await self.app.store.turns(thread, last=1)), None)

    async def undo(self, thread: ThreadId) -> Turn | None:
        """Take the last turn out of the history."""
        return await self.app.store.undo(thread)

    async def fork(self, thread: ThreadId, turns: int) -> Fork:
        """Begin a conversation with the history and state that another had after so many of its turns."""
        fork = self.new_thread()
        whole = await self.app.store.fork(thread, fork, turns)
        return Fork(thread=fork, turns=len(await self.app.store.turns(fork)), whole=whole)

    async def export(self, thread: ThreadId, kind: str) -> File:
        """Write the conversation."""
        store = self.app.store
        data = await export(await store.thread(thread), await store.turns(thread), kind, store.load_file)
        return File.of(f"{re.sub(r'[^A-Za-z0-9.-]', '-', thread)}.{kind}", data)

    async def record(self, entry: Entry) -> None:
        """Add to the audit what the person did."""
        await self.app.store.append([entry])

    async def waiting(self, thread: ThreadId) -> int:
        """How many messages of the thread are not answered yet."""
        return len(await self.app.store.pending(thread))

    def new_thread(self) -> ThreadId:
        """Name a fresh conversation."""
        return new_thread(PLATFORM)


async def chat(thread: str | None) -> int:
    """Open the terminal chat; without a terminal on standard input, play the tour."""
    if not sys.stdin.isatty() and thread is None:
        return await demo()
    settings = load()
    lines = None if settings.has_model or thread is not None else _tour()
    await _converse(settings, thread, lines, keyboard=True)
    return 0


async def demo(console: Console | None = None, stops: slice = slice(None)) -> int:
    """Play the tour, or some stops of it, with the scripted model, whatever is configured; returns 1 where one was not answered."""
    settings = load(openai_api_key=None, openai_base_url="", approve="nothing")
    turns = await _converse(settings, None, _tour(stops), keyboard=False, console=console)
    return int(not turns or any(turn.outcome is None or turn.outcome.ending is not Ending.ANSWERED for turn in turns))


async def _converse(
    settings: Settings, thread: str | None, lines: AsyncIterator[Line] | None, *, keyboard: bool, console: Console | None = None
) -> Sequence[Turn]:
    """Talk until the lines are over and the person leaves the keyboard."""
    log.configure(settings.log_level, settings.data / "codeact-bot.log", settings.log_format)
    console = console or Screen(highlight=False)
    foot = Foot(console)
    try:
        async with open_app(settings, foot.prepare, strangers=False) as app:
            foot.close()
            web = _web(app, console) if keyboard else None
            adapter = await _adapter(app, console, thread, lines, keyboard=keyboard, left=web.leave if web else None)
            await app.service(adapter, *([web] if web else [])).run()
            return await app.store.turns(adapter.thread)
    finally:
        foot.close()


def _web(app: App, console: Console) -> WebAdapter | None:
    """Make the web chat beside the terminal's, where it is wanted and installed."""
    if not app.settings.has_web or not installed():
        return None

    def announce(address: str) -> None:
        console.print(note(f"In the browser, too: {address}", "dim"), soft_wrap=True)
        open_browser(address)

    return web(app.settings, StoreDesk(app.store), announce, app.watch)


async def _adapter(
    app: App, console: Console, thread: str | None, lines: AsyncIterator[Line] | None, *, keyboard: bool, left: Callable[[], None] | None = None
) -> ConsoleAdapter:
    if thread is not None:
        thread = (await app.store.thread(_full(thread))).id
    about = About(
        model=app.model.name,
        sandbox=app.sandbox.name,
        warning=getattr(app.sandbox, "warning", ""),
        demo=not app.settings.has_model,
        notes=app.fallbacks,
    )
    return ConsoleAdapter(
        thread=ThreadId(thread) if thread else new_thread(PLATFORM),
        author=Author(id=user(), name=user()),
        desk=TerminalDesk(app),
        about=about,
        saved=app.settings.data / "files",
        console=console,
        lines=lines,
        keyboard=keyboard,
        history=app.settings.data / "lines",
        left=left,
    )


def _full(thread: str) -> ThreadId:
    """Complete an id whose platform was left out."""
    if not thread.strip():
        raise ThreadNotFound("Give the conversation's id after --thread; `codeact-bot history` lists them.")
    return ThreadId(thread if ":" in thread else f"{PLATFORM}:{thread}")


async def _tour(stops: slice = slice(None)) -> AsyncIterator[Line]:
    from codeact_bot.model.tour import TOUR

    for stop in TOUR[stops]:
        yield Line(text=stop.question, files=stop.files)
