"""`codeact-bot audit`, `hold` and `forget`: what ran, for those who have to know; and what is to stay or to go."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from adapters.render import clean, cost_text, count, one_line, seconds_text
from codeact_bot import app, ledgers
from codeact_bot.errors import CodeactError, FileRefused
from codeact_bot.export import export
from codeact_bot.ports import Store
from codeact_bot.screen import Screen
from codeact_bot.settings import load
from codeact_bot.types import Author, By, Deed, Ending, Entry, Erased, Query, Record, Run, ThreadId, Total, Trail, now
from codeact_bot.user import user
from codeact_bot.verify import verify

MONTH = timedelta(days=30)
"""What totals add up unless told otherwise."""
HEAD = ("turn", "when", "where", "who", "status", "errors", "model", "steps", "time", "cost", "question")
SUMS = ("runs", "success", "repairs", "steps", "time", "tokens", "cost", "errors")
RIGHT = {"steps", "time", "cost", "runs", "success", "repairs", "tokens", "number"}


async def audit(arguments: argparse.Namespace) -> int:
    """Do what `codeact-bot audit` was asked for."""
    work = {"list": runs, "show": show, "totals": totals, "records": records, "export": export_runs, "verify": check}[arguments.what]
    if (arguments.what == "show") != (arguments.turn is not None):
        raise CodeactError("Write `codeact-bot audit show TURN` with an id that `codeact-bot audit` lists; the other parts of the audit take no id.")
    async with app.open_store(load(), app.quiet) as store:
        return await work(store, arguments)


def query(arguments: argparse.Namespace) -> Query:
    """Return the query of the command's options."""
    return Query(
        thread=ThreadId(arguments.thread) if arguments.thread else None,
        person=arguments.person,
        platform=arguments.platform,
        channel=arguments.channel,
        ending=Ending(arguments.status) if arguments.status else None,
        error=arguments.error,
        model=arguments.model,
        min_cost=arguments.min_cost,
        text=arguments.text,
        since=arguments.since,
        until=arguments.until,
        limit=arguments.limit,
        cursor=arguments.cursor,
    )


async def runs(store: Store, arguments: argparse.Namespace) -> int:
    """List runs, newest first."""
    page = await store.search(query(arguments))
    _print(HEAD, [_run(run) for run in page.runs], "Nothing matches. `codeact-bot audit` alone lists the latest runs.")
    _more(page.cursor, "Open one with: codeact-bot audit show TURN")
    return 0


def _run(run: Run) -> Sequence[str]:
    return (
        run.turn,
        run.started.astimezone().strftime("%Y-%m-%d %H:%M"),
        one_line(run.channel, 30),
        one_line(run.author.name, 20),
        str(run.ending or "open"),
        one_line(", ".join(run.errors), 30),
        one_line(run.model, 20),
        str(run.steps),
        seconds_text(run.seconds),
        cost_text(run.cost) if run.cost else "-",
        one_line(run.question, 200),
    )


async def show(store: Store, arguments: argparse.Namespace) -> int:
    """Print a run's whole transcript and its records; that somebody looked is recorded."""
    turn = await store.turn(arguments.turn)
    await store.append([deed(Deed.VIEWED, thread=turn.incoming.thread, turn=turn.id)])
    data = await export(await store.thread(turn.incoming.thread), [turn], "md", store.load_file)
    print(clean(data.decode()))  # noqa: T201
    found = (await store.records(Trail(turn=turn.id, limit=1_000))).records
    _print(("number", "when", "what", "step", "who", "detail"), [_record(each) for each in reversed(found)], "Nothing is recorded of it.")
    return 0


async def records(store: Store, arguments: argparse.Namespace) -> int:
    """List the records of the chain, newest first."""
    trail = Trail(
        kind=arguments.kind,
        person=arguments.person,
        thread=ThreadId(arguments.thread) if arguments.thread else None,
        since=arguments.since,
        until=arguments.until,
        limit=arguments.limit,
        cursor=arguments.cursor,
    )
    page = await store.records(trail)
    _print(("number", "when", "what", "step", "who", "detail"), [_record(each) for each in page.records], "Nothing is recorded that matches.")
    _more(page.cursor, "Check the chain with: codeact-bot audit verify")
    return 0


def _record(record: Record) -> Sequence[str]:
    entry = record.entry
    detail = " · ".join(filter(None, (entry.status, entry.error, entry.model, entry.subject, entry.text)))
    return (
        str(record.number),
        entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        str(entry.kind),
        "" if entry.step is None else str(entry.step),
        one_line(entry.author.name, 20) if entry.author else "",
        one_line(detail, 200) if record.found else "(its content was removed)",
    )


async def totals(store: Store, arguments: argparse.Namespace) -> int:
    """Add runs up by person, channel, platform, model, day or type of error."""
    by, wanted = By(arguments.by), query(arguments)
    found = await store.totals(replace(wanted, since=wanted.since or (wanted.until or now()) - MONTH), by)
    _print((str(by), *SUMS), [_total(each) for each in found], "Nothing matches.")
    return 0


def _total(total: Total) -> Sequence[str]:
    return (
        one_line(total.name, 40) or "-",
        str(total.runs),
        f"{total.success:.0%}",
        f"{total.repairs_until_success:.1f}",
        str(total.steps),
        seconds_text(total.seconds),
        f"{total.tokens:,}",
        cost_text(total.cost) if total.cost else "-",
        one_line(", ".join(f"{each.type} {each.runs}" for each in total.errors), 80),
    )


async def export_runs(store: Store, arguments: argparse.Namespace) -> int:
    """Write all runs that match; that somebody did is recorded. Raises FileRefused, ConfigurationInvalid."""
    await store.append([deed(Deed.EXPORTED, subject=arguments.format, text=" ".join(sys.argv[1:]))])
    try:
        if arguments.format == "parquet":
            if arguments.output is None:
                raise FileRefused("Parquet is not for the screen. Name a file with -o.")
            await ledgers.parquet(store, query(arguments), Path(arguments.output))
            return 0
        with open(arguments.output or sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=arguments.output is not None) as file:  # noqa: ASYNC230
            async for piece in ledgers.text(store, query(arguments), arguments.format):
                await asyncio.to_thread(file.write, piece)
    except OSError as error:
        if arguments.output is None:
            raise
        raise FileRefused(f"Could not write {arguments.output}: {error.strerror}. Choose another place with -o.") from None
    return 0


async def check(store: Store, arguments: argparse.Namespace) -> int:
    """Walk along the chain and name what was changed, removed or inserted."""
    verdict = await verify(store, arguments.receipt)
    for fault in verdict.faults:
        print(fault)  # noqa: T201
    gone = f", the contents of {verdict.erased:,} of them removed, as later ones say" if verdict.erased else ""
    print(f"{count(verdict.records, 'record')}{gone}: {'the chain is broken' if verdict.faults else 'the chain holds'}.")  # noqa: T201
    if verdict.end and not verdict.faults:
        print(f"Keep this elsewhere; a later `codeact-bot audit verify --receipt` compares it: {verdict.end.number}:{verdict.end.hash}")  # noqa: T201
    return int(bool(verdict.faults))


async def hold(arguments: argparse.Namespace) -> int:
    """Put a conversation on legal hold, or release it. Raises ThreadNotFound."""
    thread, on = ThreadId(arguments.thread), not arguments.release
    async with app.open_store(load(), app.quiet) as store:
        await store.hold(thread, on=on)
        await store.append([deed(Deed.HELD, thread=thread, status="held" if on else "released")])
    print(f"{thread} is on hold: nothing of it is removed." if on else f"{thread} is released.")  # noqa: T201
    return 0


async def forget(arguments: argparse.Namespace) -> int:
    """Remove one person's data; 1 where some has to stay for now."""
    platform, _, person = arguments.person.rpartition(":")
    async with app.open_store(load(), app.quiet) as store:
        erased = await store.forget(person, prefix=f"{platform}:" if platform else "")
        await store.sweep()
    for line in told(erased):
        print(line)  # noqa: T201
    return int(bool(erased.held or erased.busy))


def told(erased: Erased) -> Sequence[str]:
    """Say what was removed, and what was not and why."""
    asked = f"{count(erased.turns, 'question')} with all that came of them, {count(erased.messages, 'waiting message')}"
    parts = f"{asked}, {count(erased.threads, 'whole conversation')}, the contents of {count(erased.records, 'record')} of the audit"
    return [
        f"Removed: {parts}. Files go within a quarter of an hour.",
        *(f"{thread} is on legal hold: nothing of it was removed. Release it first: codeact-bot hold {thread} --release" for thread in erased.held),
        *(f"A question is being answered in {thread}: nothing of it was removed. Say this again in a minute." for thread in erased.busy),
    ]


def deed(kind: Deed, **fields: str) -> Entry:
    """Record that who runs this program did something."""
    name = user()
    given = {key: ThreadId(value) if key == "thread" else value for key, value in fields.items()}
    return Entry(kind=kind, author=Author(id=name, name=name), **given)  # type: ignore[arg-type]


def _print(head: Sequence[str], lines: Sequence[Sequence[str]], nothing: str) -> None:
    """Print a table on a terminal, tab-separated lines elsewhere."""
    console = Screen(highlight=False)
    if not lines:
        Console(stderr=True).print(nothing)
    elif not console.is_terminal:
        for line in lines:
            print("\t".join(line), flush=True)  # noqa: T201
    else:
        table = RichTable(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        for name in head:
            last = name == head[-1]
            table.add_column(name, no_wrap=True, justify="right" if name in RIGHT else "left", overflow="ellipsis", ratio=1 if last else None)
        for line in lines:
            table.add_row(*(Text(cell) for cell in line))
        console.print(table)


def _more(cursor: str, hint: str) -> None:
    """Say how to go on, to the person and not to a program that reads the lines."""
    if sys.stdout.isatty() or cursor:
        more = f"The next page: --cursor {cursor}" if cursor else hint
        Console(stderr=True, highlight=False).print(Text(more, style="dim"), soft_wrap=True)
