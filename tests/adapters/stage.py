"""A small core behind the terminal chat: an inbox that plays prepared events, and a desk with a few files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from adapters.console import Line
from codeact_bot.errors import FileRefused, StoreUnavailable
from codeact_bot.ports import ChatAdapter, Reply
from codeact_bot.types import (
    Answer,
    CodeError,
    CodeStarted,
    Completion,
    Ending,
    Entry,
    Event,
    Execution,
    File,
    Fork,
    Incoming,
    Malformed,
    Notice,
    Outcome,
    Output,
    Preparing,
    RunCode,
    Status,
    Step,
    StepDone,
    Table,
    Thought,
    ThoughtDropped,
    ThreadId,
    Turn,
    TurnDone,
    Usage,
)

THREAD = ThreadId("terminal:4f1c9a")
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)
CODE = """\
import pandas as pd

sales = pd.read_csv("sales.csv")
for region, part in sales.groupby("region"):
    print(region, part["price"].sum())
by_region = sales.groupby("region")["prcie"].sum()
by_region
"""
FRAMES = """\
Traceback (most recent call last):
  File "step 1", line 6, in <module>
    by_region = total(sales)
  File "step 1", line 3, in total
    return table["prcie"]
KeyError: 'prcie'
"""
TABLE = Table(
    columns=("region", "orders", "revenue", "mean basket"),
    rows=(("north", "1,204", "88,310.50", "73.35"), ("south", "980", "61,002.00", "62.25"), ("west", "1,511", "120,400.75", "79.68")),
    total_rows=240,
    total_columns=4,
)


def turn_of(incoming: Incoming) -> Turn:
    """Open a turn."""
    return Turn(id=f"turn-{incoming.id}", incoming=incoming)


def ended(turn: Turn, steps: Sequence[Step], text: str, ending: Ending = Ending.ANSWERED) -> TurnDone:
    """End a turn after 4.2 seconds."""
    outcome = Outcome(ending=ending, text=text)
    return TurnDone(turn=replace(turn, steps=tuple(steps), outcome=outcome, ended=turn.started + timedelta(seconds=4.2)))


def ran(index: int, code: str, thought: str = "", **result: object) -> Step:
    """Make a closed step that ran code."""
    execution = Execution(**{"status": Status.OK, "seconds": 0.4, **result})  # type: ignore[arg-type]
    return Step(index=index, completion=completion(), action=RunCode(thought=thought, code=code), execution=execution)


def completion() -> Completion:
    """Make a completion that cost 0.12 cents."""
    return Completion(text="", usage=Usage(input_tokens=400, output_tokens=80, cost=0.0012), seconds=1.1)


def every_kind(turn: Turn, words: str = "sales") -> list[Event]:
    """Return a turn's events, one at least of each kind, with `words` wherever sandbox or model can write."""
    failed = ran(
        0,
        CODE,
        status=Status.ERROR,
        output=f"{words}\n",
        error=CodeError(type="KeyError" if words == "sales" else words, message=f"'prcie' {words}", traceback=FRAMES + words, line=6),
    )
    malformed = Step(index=1, completion=completion(), action=Malformed(thought="", code=words, reason=f"Not Python: {words}"))
    good = ran(
        2,
        "by_region",
        value=words,
        tables=(TABLE, replace(TABLE, rows=((words,) * 4,))),
        images=(File.of("figure-1.png", PNG),),
        files=(File.of(f"{words}.csv", b"a,b\n"), File.of("../../escape.txt", b"x")),
        notes=(f"3 files were left out: {words}",),
        cut=10_000,
    )
    killed = ran(3, words, status=Status.KILLED, state_lost=True, lost=(words, "df"))
    answer = Step(index=4, completion=completion(), action=Answer(text=f"The **west** leads. {words}"))
    return [
        Preparing(label=f"Building the image {words}", fraction=0.4),
        Preparing(label=f"Building the image {words}", fraction=1.0),
        Thought(text="Let me "),
        ThoughtDropped(),
        Thought(text=f"Let me *look* at `sales.csv`. {words}\n\nThen"),
        Thought(text=" group it."),
        CodeStarted(index=0, code=f"{CODE}# {words}\n"),
        Output(text="north 88310.5\nso"),
        Output(text=f"uth 61002.0\n{words}\n"),
        StepDone(step=failed),
        StepDone(step=malformed),
        Notice(text=f"The model repeats itself. {words}"),
        CodeStarted(index=2, code="by_region"),
        StepDone(step=good),
        CodeStarted(index=3, code="x"),
        StepDone(step=killed),
        Thought(text=f"The **west** leads. {words}"),
        StepDone(step=answer),
        ended(turn, [failed, malformed, good, killed, answer], f"The **west** leads. {words}"),
    ]


Play = Callable[["Stage", Turn, Reply], Awaitable[None]]


class Stage:
    """Accepts messages and plays a turn for each; implements Inbox and Desk."""

    def __init__(self, play: Play) -> None:
        self.accepted: list[Incoming] = []
        self.stopped = asyncio.Event()
        self.away = False
        self.ready = asyncio.Event()
        self.ready.set()
        self.done: list[Turn] = []
        self.recorded: list[Entry] = []
        self.backlog: list[Incoming] = []
        self.adapter: ChatAdapter | None = None
        self.folder: dict[str, bytes] = {"sales.csv": b"region,price\n", "plots/a.png": PNG}
        self.running: set[asyncio.Task[None]] = set()
        self._play = play

    async def accept(self, incoming: Incoming) -> bool:
        if incoming.id in {other.id for other in self.accepted}:
            return False
        self.accepted.append(incoming)
        self.begin(incoming)
        return True

    def begin(self, incoming: Incoming) -> None:
        task = asyncio.get_running_loop().create_task(self._turn(incoming))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def stop(self, thread: ThreadId) -> None:
        self.stopped.set()
        if self.away:
            raise StoreUnavailable("The database does not answer.")

    async def _turn(self, incoming: Incoming) -> None:
        assert self.adapter is not None
        turn = turn_of(incoming)
        reply = await self.adapter.reply(turn)
        await self._play(self, turn, reply)

    async def files(self, thread: ThreadId) -> Sequence[tuple[str, int]]:
        await self.ready.wait()
        return [(name, len(data)) for name, data in sorted(self.folder.items())]

    async def fetch(self, thread: ThreadId, name: str) -> File:
        if name not in self.folder:
            raise FileRefused(f"There is no file {name} in the working folder.")
        return File.of(name, self.folder[name])

    async def load(self, file: File) -> bytes:
        return b"from the store"

    async def history(self, thread: ThreadId) -> Sequence[Turn]:
        return [turn for turn in self.done if turn.incoming.thread == thread]

    async def last(self, thread: ThreadId) -> Turn | None:
        return next(reversed(await self.history(thread)), None)

    async def undo(self, thread: ThreadId) -> Turn | None:
        return self.done.pop() if self.done else None

    async def fork(self, thread: ThreadId, turns: int) -> Fork:
        fork = self.new_thread()
        past = (await self.history(thread))[:turns]
        self.done += [replace(turn, incoming=replace(turn.incoming, thread=fork)) for turn in past]
        return Fork(thread=fork, turns=len(past))

    async def export(self, thread: ThreadId, kind: str) -> File:
        return File.of(f"conversation.{kind}", b"# A conversation\n")

    async def record(self, entry: Entry) -> None:
        self.recorded.append(entry)

    async def waiting(self, thread: ThreadId) -> int:
        return len(self.backlog)

    def new_thread(self) -> ThreadId:
        return ThreadId("terminal:b00b1e")


async def play_every_kind(stage: Stage, turn: Turn, reply: Reply) -> None:
    """Show every kind of event, at once."""
    for event in every_kind(turn):
        await reply.show(event)
        if isinstance(event, TurnDone):
            stage.done.append(event.turn)


async def play_until_stopped(stage: Stage, turn: Turn, reply: Reply) -> None:
    """Run until somebody stops it."""
    await reply.show(Thought(text="This takes a while.\n\n"))
    await reply.show(CodeStarted(index=0, code="while True: pass"))
    await reply.show(Output(text="spinning\n"))
    await stage.stopped.wait()
    stage.stopped.clear()
    step = ran(0, "while True: pass", status=Status.STOPPED, output="spinning\n")
    await reply.show(StepDone(step=step))
    done = ended(turn, [step], "Stopped. Variables are kept.", Ending.STOPPED)
    stage.done.append(done.turn)
    await reply.show(done)


async def listed(items: Sequence[Line]) -> AsyncIterator[Line]:
    """Yield items as an asynchronous iterator."""
    for item in items:
        yield item


def saved_files(folder: Path) -> set[str]:
    """List what was saved, relative to the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def play_nothing(stage: Stage, turn: Turn, reply: Reply) -> None:
    """Leave the turn to the test."""
    await reply.show(ended(turn, [], ""))
