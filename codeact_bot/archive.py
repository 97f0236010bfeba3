"""`codeact-bot history` and `codeact-bot export`: what was asked before, on the command line."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from adapters.render import clean, cost_text, count, one_line, seconds_text
from codeact_bot import app
from codeact_bot.api import new_thread
from codeact_bot.errors import FileRefused, TurnNotFound
from codeact_bot.export import export as write
from codeact_bot.review import deed
from codeact_bot.screen import Screen
from codeact_bot.settings import load
from codeact_bot.types import Deed, Ending, Query, ThreadId, Turn

MARKS = {
    Ending.ANSWERED: "green",
    Ending.LIMIT: "yellow",
    Ending.STOPPED: "yellow",
    Ending.FAILED: "red",
    Ending.MISSED: "yellow",
    Ending.APPROVAL: "cyan",
}


async def history(arguments: argparse.Namespace) -> int:
    """Print the turns that match, newest first: a table on a terminal, tab-separated lines elsewhere."""
    query = Query(
        thread=ThreadId(arguments.thread) if arguments.thread else None,
        person=arguments.person,
        ending=Ending(arguments.status) if arguments.status else None,
        error=arguments.error,
        text=" ".join(arguments.text),
        since=arguments.since,
        until=arguments.until,
        limit=arguments.limit,
    )
    async with app.open_store(load(), app.quiet) as store:
        turns = await store.find(query)
    console = Screen(highlight=False)
    if not turns:
        Console(stderr=True).print("Nothing matches. `codeact-bot history` alone lists the latest turns.")
    elif console.is_terminal:
        show_table(console, turns, arguments.limit)
    else:
        for turn in turns:
            print("\t".join(_cells(turn)), flush=True)  # noqa: T201
    return 0


def show_table(console: Console, turns: Sequence[Turn], limit: int) -> None:
    """Print turns as a table, with what to do next below it."""
    table = RichTable(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("when", "thread", "who", "status", "steps", "time", "cost"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("steps", "time", "cost") else "left")
    table.add_column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    for turn in turns:
        when, thread, who, status, *rest = _cells(turn)
        style = MARKS[turn.outcome.ending] if turn.outcome else "dim"
        table.add_row(*(Text(cell) for cell in (when, thread, who)), Text(status, style=style), *(Text(cell) for cell in rest))
    console.print(table)
    more = " (there may be more: --limit)" if len(turns) == limit else ""
    console.print(Text(f"\n{count(len(turns), 'turn')}{more}. Go on with one: codeact-bot chat --thread THREAD", style="dim"))


def _cells(turn: Turn) -> tuple[str, ...]:
    seconds = (turn.ended - turn.started).total_seconds() if turn.ended else 0.0
    errors = sorted({step.execution.error.type for step in turn.steps if step.execution and step.execution.error})
    status = str(turn.outcome.ending) if turn.outcome else "open"
    return (
        turn.started.astimezone().strftime("%Y-%m-%d %H:%M"),
        one_line(turn.incoming.thread, 80),
        one_line(turn.incoming.author.name, 20),
        status + (f" ({one_line(', '.join(errors), 30)} on the way)" if errors else ""),
        str(len(turn.steps)),
        seconds_text(seconds),
        cost_text(turn.usage.cost, estimated=turn.usage.estimated) if turn.usage.cost else "-",
        one_line(turn.incoming.text, 200),
    )


async def export(arguments: argparse.Namespace) -> int:
    """Write a conversation to a file or to standard output. Raises ThreadNotFound, FileRefused."""
    thread = ThreadId(arguments.thread)
    async with app.open_store(load(), app.quiet) as store:
        found = await store.thread(thread)
        await store.append([deed(Deed.EXPORTED, thread=thread, subject=arguments.format)])
        data = await write(found, await store.turns(thread), arguments.format, store.load_file)
    if arguments.output is None:
        sys.stdout.buffer.write(data if not sys.stdout.isatty() else clean(data.decode()).encode())
        sys.stdout.buffer.flush()
        return 0
    try:
        await asyncio.to_thread(Path(arguments.output).write_bytes, data)
    except OSError as error:
        raise FileRefused(f"Could not write {arguments.output}: {error.strerror}. Choose another place with -o.") from None
    return 0


async def fork(arguments: argparse.Namespace) -> int:
    """Begin a conversation in the terminal with the history and state of another. Raises ThreadNotFound, TurnNotFound."""
    fork = new_thread("terminal")
    async with app.open_store(load(), app.quiet) as store:
        found = await store.thread(ThreadId(arguments.thread))
        turns = _position(await store.turns(found.id), arguments.at)
        whole = await store.fork(found.id, fork, turns)
        await store.append([deed(Deed.FORKED, thread=found.id, subject=fork)])
    without = "" if whole else ", without their variables and files, which are no longer kept"
    print(f"{fork} has the first {turns} of {count(found.turns, 'question')}{without}. Go on with: codeact-bot chat --thread {fork}")  # noqa: T201
    return 0


def _position(turns: Sequence[Turn], at: str) -> int:
    """Return the number of the turn that a person names by its number or its id; that of the last for an empty text. Raises TurnNotFound."""
    names = [turn.id for turn in turns]
    if at in names:
        return names.index(at) + 1
    if not at or (at.isascii() and at.isdigit() and 1 <= int(at[:9]) <= len(turns)):
        return int(at or len(turns))
    raise TurnNotFound(f"This conversation has {count(len(turns), 'question')}, and {at!r} is none of them: --at takes a number or a turn's id.")
