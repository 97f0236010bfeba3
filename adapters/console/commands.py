"""The slash commands of the terminal chat."""

from __future__ import annotations

import asyncio
import difflib
import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.common.approvals import verdict
from adapters.common.commands import brought, rewound, went_back
from adapters.common.forks import after_which
from adapters.common.rebuilds import WARNING
from adapters.common.recording import record
from adapters.console import blocks
from adapters.console.desk import Desk
from adapters.console.foot import Foot
from adapters.console.saving import Folder, dropped, link, read, write
from adapters.render import one_line, size_text, turn_summary
from codeact_bot.errors import CodeactError, FileRefused
from codeact_bot.types import Author, Deed, File, Fork, ThreadId, Turn

ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}
FORMATS = ("md", "json", "ipynb", "jsonl")
TURNS_SHOWN = 20
FILES_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One slash command."""

    name: str
    arguments: str
    meaning: str
    run: Callable[[str], Awaitable[None]]
    """Is given what stands after the name."""


class Commands:
    """Runs slash commands of one terminal; holds its conversation and the files that go with the next message."""

    def __init__(self, *, desk: Desk, console: Console, thread: ThreadId, author: Author, saved: Path) -> None:
        self.thread = thread
        self._author = author
        self.leaving = False
        self._desk = desk
        self._console = console
        self._saved = saved
        self._attached: tuple[File, ...] = ()
        self._asking = self._confirmed = False
        self._waits: Turn | None = None
        self._decided: tuple[Turn, bool] | None = None
        self.all = (
            Command(name="/files", arguments="[NAME]", meaning="list the working folder, or save a file of it", run=self._files),
            Command(name="/attach", arguments="PATH", meaning="send a file along with the next message", run=self._attach),
            Command(name="/history", arguments="", meaning="show this conversation's questions and answers", run=self._history),
            Command(name="/undo", arguments="", meaning="take back the last question; variables stay", run=self._undo),
            Command(name="/rewind", arguments="[N]", meaning="go back N questions, with the variables of then", run=self._rewind),
            Command(name="/fork", arguments="[N]", meaning="go on after question N in another conversation; this one is kept", run=self._fork),
            Command(name="/rebuild", arguments="", meaning="run this conversation's code again, where its variables were lost", run=self._rebuild),
            Command(name="/export", arguments="[FORMAT] [PATH]", meaning=f"save the conversation: {', '.join(FORMATS)}", run=self._export),
            Command(name="/new", arguments="", meaning="begin another conversation", run=self._new),
            Command(name="/help", arguments="", meaning="show this", run=self._help),
            Command(name="/quit", arguments="", meaning="leave; the conversation is kept", run=self._quit),
        )

    @property
    def folder(self) -> Folder:
        """Where the conversation's files are saved."""
        return Folder(self._saved, self.thread)

    def take_attached(self) -> tuple[File, ...]:
        """Hand over the attached files; the next message carries them."""
        files, self._attached = self._attached, ()
        return files

    def take_rebuild(self) -> bool:
        """Whether the person has just said yes to a rebuild."""
        confirmed, self._confirmed = self._confirmed, False
        return confirmed

    async def offer(self) -> None:
        """Ask whether the code may run that the conversation's last turn wants to run."""
        last = await self._desk.last(self.thread)
        self._waits = last if last and last.outcome and last.outcome.proposal else None
        if self._waits is not None:
            self._say("Run it? y or n; another question takes this one back.")

    def take_decision(self) -> tuple[Turn, bool] | None:
        """The turn whose code the person has just approved or declined, and which of both; None where they did neither."""
        decided, self._decided = self._decided, None
        return decided

    async def handle(self, text: str) -> bool:
        """Run the command that a line is, or attach the file that it names; False where the line is a message."""
        asking, self._asking = self._asking, False
        if asking and text.strip().lower() in ANSWERS:
            self._confirmed = ANSWERS[text.strip().lower()]
            if not self._confirmed:
                self._say("Nothing was run.", "dim")
            return True
        if self._waits is not None and (yes := verdict(text)) is not None:
            self._decided = (self._waits, yes)
            return True
        path = await asyncio.to_thread(dropped, text)
        if path is not None:
            await self._guarded(self._attach, str(path))
            return True
        if not text.startswith("/") or "\n" in text:
            return False
        name, _, rest = text.partition(" ")
        wanted = "/quit" if name.lower() == "/exit" else name.lower()
        command = next((command for command in self.all if command.name == wanted), None)
        if command is None:
            self._say(_unknown(name, [command.name for command in self.all]), "yellow")
        else:
            await self._guarded(command.run, rest.strip())
        return True

    async def _guarded(self, run: Callable[[str], Awaitable[None]], rest: str) -> None:
        foot = Foot(self._console)
        foot.status("at work")
        try:
            await run(rest)
        except (CodeactError, OSError, ValueError) as problem:
            self._say(str(problem), "red")
        finally:
            foot.close()

    def _say(self, text: str, style: str = "none") -> None:
        self._console.print(blocks.note(text, style))

    async def _files(self, name: str) -> None:
        if name:
            file = await self._desk.fetch(self.thread, name)
            await self._keep(file)
            return
        files = await self._desk.files(self.thread)
        if not files:
            self._say("The working folder is empty.", "dim")
            return
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(overflow="fold")
        grid.add_column(justify="right", style="dim", no_wrap=True)
        for path, size in files[:FILES_SHOWN]:
            grid.add_row(Text(one_line(path, 200)), size_text(size))
        self._console.print(grid)
        if len(files) > FILES_SHOWN:
            self._say(f"… {len(files) - FILES_SHOWN:,} more", "dim")
        self._say("/files NAME saves one of them.", "dim")

    async def _keep(self, file: File) -> None:
        data = file.data if file.data is not None else await self._desk.load(file)
        path = await asyncio.to_thread(self.folder.keep, file.name, data)
        self._console.print(Text.assemble(("saved  ", "dim"), link(path, len(data))), soft_wrap=True)

    async def _attach(self, path: str) -> None:
        if not path:
            raise FileRefused("Say which file: /attach PATH")
        file = await asyncio.to_thread(read, path)
        self._attached = (*(other for other in self._attached if other.name != file.name), file)
        names = ", ".join(f"{one_line(file.name)} ({size_text(file.size)})" for file in self._attached)
        self._console.print(Text.assemble(("+ ", "cyan"), names, ("  goes with your next message", "dim")))

    async def _history(self, _: str) -> None:
        turns = await self._desk.history(self.thread)
        if not turns:
            self._say("Nothing has been asked in this conversation yet.", "dim")
        elif len(turns) > TURNS_SHOWN:
            self._say(f"… {len(turns) - TURNS_SHOWN:,} earlier", "dim")
        for turn in turns[-TURNS_SHOWN:]:
            self._console.print(blocks.recap(turn))
            self._console.print(Text(f"  {turn.started:%Y-%m-%d %H:%M} UTC · {turn_summary(turn)}", style="bright_black"))

    async def _undo(self, _: str) -> None:
        turn = await self._desk.undo(self.thread)
        if turn is None:
            self._say("There is nothing to take back.", "dim")
        else:
            await record(self._desk, Deed.FORKED, self._author, thread=self.thread, turn=turn.id, subject="/undo")
            asked = one_line(turn.incoming.text, 60)
            self._say(f"Taken back: “{asked}”. The model no longer knows of it; variables and files stay as they are.")

    async def _rewind(self, argument: str) -> None:
        left = rewound(argument, len(await self._desk.history(self.thread)))
        if isinstance(left, str):
            self._say(_words(left), "yellow")
            return
        fork = await self._desk.fork(self.thread, left)
        self._say(went_back(fork))
        await self._go_on(fork)

    async def _fork(self, argument: str) -> None:
        number = after_which(argument, len(await self._desk.history(self.thread)))
        if isinstance(number, str):
            self._say(_words(number), "yellow")
            return
        fork = await self._desk.fork(self.thread, number)
        self._say(f"You go on after question {number}, {brought(fork)}")
        await self._go_on(fork)

    async def _go_on(self, fork: Fork) -> None:
        """Go on in a fork, and say how to come back."""
        await record(self._desk, Deed.FORKED, self._author, thread=self.thread, subject=fork.thread)
        old, self.thread = self.thread, fork.thread
        self._say(f"This is {fork.thread} now. The one before is kept: codeact-bot chat --thread {old}", "dim")

    async def _rebuild(self, _: str) -> None:
        if not any(step.ran for turn in await self._desk.history(self.thread) for step in turn.steps):
            self._say("No code has run in this conversation yet.", "dim")
            return
        self._say(WARNING, "yellow")
        self._say("Run it? y or n")
        self._asking = True

    async def _export(self, rest: str) -> None:
        words = shlex.split(rest) if rest else []
        kind = words.pop(0).lower() if words and words[0].lower() in FORMATS else "md"
        if len(words) > 1 or (words and "." not in words[0] and "/" not in words[0]):
            raise FileRefused(f"Write /export [FORMAT] [PATH], where FORMAT is one of {', '.join(FORMATS)}.")
        file = await self._desk.export(self.thread, kind)
        await record(self._desk, Deed.EXPORTED, self._author, thread=self.thread, subject=kind)
        data = file.data if file.data is not None else await self._desk.load(file)
        if words:
            path = await asyncio.to_thread(write, words[0], file.name, data)
        else:
            path = await asyncio.to_thread(self.folder.keep, file.name, data)
        self._console.print(Text.assemble(("saved  ", "dim"), link(path, file.size)), soft_wrap=True)

    async def _new(self, _: str) -> None:
        self.thread = self._desk.new_thread()
        self._attached = ()
        self._say(f"A new conversation, {self.thread}, with a sandbox of its own. The old one is kept.", "dim")

    async def _help(self, _: str) -> None:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="cyan", no_wrap=True)
        grid.add_column()
        for command in self.all:
            grid.add_row(f"{command.name} {command.arguments}".strip(), Text(command.meaning))
        grid.add_row("Ctrl-C", "stop the run; at the prompt, clear the line")
        grid.add_row("Alt-Enter", "begin a new line in a message")
        grid.add_row("Ctrl-R  ↑", "search and walk through what you typed before")
        self._console.print(grid)

    async def _quit(self, _: str) -> None:
        self.leaving = True


def _words(sentence: str) -> str:
    """Return a sentence on `/codeact` as one on the terminal's own commands."""
    return sentence.replace("`/codeact ", "`/")


def _unknown(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    advice = f"Did you mean {close[0]}?" if close else "/help lists the commands."
    return f"There is no command {one_line(name, 30)}. {advice}"
