"""The terminal chat: one person, one conversation at a time, one line after the other."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from adapters.common.approvals import ANSWERED, approving
from adapters.common.rebuilds import TEXT
from adapters.common.recording import record
from adapters.console import blocks, images
from adapters.console.commands import Commands
from adapters.console.desk import Desk
from adapters.console.keyboard import Keyboard, Line
from adapters.console.reply import ConsoleReply
from adapters.render import size_text
from codeact_bot.errors import CodeactError
from codeact_bot.ports import Inbox
from codeact_bot.types import Author, Check, Deed, Incoming, Kind, ThreadId, Turn

RECAP_TURNS = 3
PRESSES_TO_LEAVE = 3
"""Ctrl-C so often in one run leaves the program, in case stopping itself hangs."""
STOP_SECONDS = 2.0
"""How long a stop that was asked for has, when the program ends, to be recorded."""


class ConsoleAdapter:
    """Reads lines from a keyboard, or from any iterator such as a tour, and shows turns; implements ChatAdapter."""

    def __init__(
        self,
        *,
        thread: ThreadId,
        author: Author,
        desk: Desk,
        about: blocks.About,
        saved: Path,
        console: Console | None = None,
        lines: AsyncIterator[Line] | None = None,
        keyboard: bool = True,
        history: Path | None = None,
        left: Callable[[], None] | None = None,
    ) -> None:
        """`lines` are shown as if typed; then, with `keyboard`, the keyboard is read, with its history in the file `history`.

        `left` is called when the person leaves.
        """
        self._author = author
        self._desk = desk
        self._about = about
        self._console = console or Console(highlight=False)
        self._scripted = lines
        self._keyboard = keyboard
        self._history = history or saved / "history"
        self._left = left
        self._commands = Commands(desk=desk, console=self._console, thread=thread, author=author, saved=saved)
        self._reply: ConsoleReply | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._working: asyncio.Task[bool] | None = None
        self._presses = 0

    @property
    def thread(self) -> ThreadId:
        """The conversation that is open now."""
        return self._commands.thread

    @property
    def prefixes(self) -> Sequence[str]:
        """This terminal's own conversation alone, so that two terminals on one database do not answer for each other."""
        return (self.thread,)

    async def listen(self, inbox: Inbox) -> None:
        """Greet, then hand in line after line, each once the one before is answered; returns when the person leaves."""
        async with self._interruptible(inbox):
            with _silent_keys():
                await self._talk(inbox)

    async def _talk(self, inbox: Inbox) -> None:
        try:
            await self._greet()
            async for line in self._lines():
                await self._take(inbox, line)
                if self._commands.leaving:
                    break
                await self._commands.offer()
        finally:
            if self._reply is not None:
                self._reply.close()
            if self._left is not None:
                self._left()

    async def check(self) -> Check:
        """A terminal hears whoever types."""
        return Check(name="terminal", ok=True, text="open")

    async def reply(self, turn: Turn) -> ConsoleReply:
        """Begin to show a turn, or go on with one that a crash interrupted."""
        self._idle.clear()
        reply = ConsoleReply(
            turn,
            console=self._console,
            folder=self._commands.folder,
            load=self._desk.load,
            free=self._about.demo,
            pictures=images.detect(os.environ) if self._console.is_terminal else None,
            ended=self._idle.set,
        )
        self._reply = reply
        reply.begin()
        return reply

    async def settle(self, asked: Turn, by: Incoming) -> None:
        """Do nothing: the answer stands below the question."""

    async def _lines(self) -> AsyncIterator[Line]:
        if self._scripted is not None:
            async for line in self._scripted:
                yield line
                if self._presses:
                    break
            self._scripted = None
        if self._keyboard:
            async for line in Keyboard(self._history, [(command.name, command.meaning) for command in self._commands.all]):
                yield line

    async def _greet(self) -> None:
        past = await self._desk.history(self.thread)
        self._console.print(blocks.intro(self._about, self.thread, resumed=bool(past)))
        if len(past) > RECAP_TURNS:
            self._console.print(blocks.note(f"… {len(past) - RECAP_TURNS:,} earlier; /history shows them", "dim"))
        for turn in past[-RECAP_TURNS:]:
            self._console.print(blocks.recap(turn))
        self._console.print()
        await self._catch_up()
        await self._commands.offer()

    async def _catch_up(self) -> None:
        """Wait for messages that an earlier run left unanswered."""
        self._idle.clear()
        while await self._desk.waiting(self.thread) and not self._commands.leaving:
            self._console.print(blocks.note("A message from before is answered first.", "yellow"))
            await self._idle.wait()
            self._idle.clear()
        self._idle.set()

    async def _take(self, inbox: Inbox, line: Line) -> None:
        if self._scripted is not None:
            self._console.print(blocks.question(line.text, (f"{file.name}  {size_text(file.size)}" for file in line.files)))
        if await self._command(line.text):
            if self._commands.take_rebuild():
                await self._ask(inbox, Incoming(id=self._name(), thread=self.thread, author=self._author, text=TEXT, kind=Kind.REBUILD))
            decided = self._commands.take_decision()
            if decided and not await self._ask(inbox, approving(decided[0], yes=decided[1], author=self._author, place="")):
                self._console.print(blocks.note(ANSWERED, "yellow"))
            return
        files = (*self._commands.take_attached(), *line.files)
        await self._ask(inbox, Incoming(id=self._name(), thread=self.thread, author=self._author, text=line.text, files=files))

    def _name(self) -> str:
        return f"{self.thread}:{uuid.uuid4().hex}"

    async def _ask(self, inbox: Inbox, incoming: Incoming) -> bool:
        """Hand a message in, and wait until it is answered; False when it was handed in before."""
        self._idle.clear()
        self._presses = 0
        self._console.print()
        fresh = await inbox.accept(incoming)
        if fresh:
            await self._idle.wait()
        self._idle.set()
        return fresh

    async def _command(self, text: str) -> bool:
        self._working = asyncio.ensure_future(self._commands.handle(text))
        try:
            return await self._working
        except asyncio.CancelledError:
            if not self._working.cancelled() or (current := asyncio.current_task()) is None or current.cancelling():
                raise
            self._console.print(blocks.note("Stopped.", "yellow"))
            return True
        finally:
            self._working = None

    async def _stop(self, inbox: Inbox, press: int) -> None:
        """Stop what runs; who did is recorded at the first press."""
        try:
            await inbox.stop(self.thread)
            if press == 1:
                await record(self._desk, Deed.STOPPED, self._author, thread=self.thread)
        except CodeactError as error:
            self._console.print(blocks.note(str(error), "yellow"))

    @asynccontextmanager
    async def _interruptible(self, inbox: Inbox) -> AsyncIterator[None]:
        """Let Ctrl-C stop the run or the command that goes on, instead of the program; a stop that hangs holds nobody up."""
        loop = asyncio.get_running_loop()
        stops: set[asyncio.Task[None]] = set()

        def pressed() -> None:
            if self._working is not None:
                self._working.cancel()
            elif not self._idle.is_set():
                self._presses += 1
                self._commands.leaving = self._presses >= PRESSES_TO_LEAVE or not self._keyboard
                if self._presses >= PRESSES_TO_LEAVE:
                    self._idle.set()
                task = loop.create_task(self._stop(inbox, self._presses), name="stop")
                stops.add(task)
                task.add_done_callback(stops.discard)

        loop.add_signal_handler(signal.SIGINT, pressed)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            for task in (await asyncio.wait(stops, timeout=STOP_SECONDS))[1] if stops else ():
                task.cancel()


@contextmanager
def _silent_keys() -> Iterator[None]:
    """Keep keys typed during a run from garbling the screen; the next prompt gets them, Enter included."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    silent = termios.tcgetattr(sys.stdin)
    silent[0] &= ~termios.ICRNL
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
