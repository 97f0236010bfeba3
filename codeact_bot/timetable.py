"""`codeact-bot schedules`: what is asked by the clock, on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from adapters.render import one_line
from codeact_bot import app
from codeact_bot.desk import StoreDesk
from codeact_bot.schedule import local
from codeact_bot.screen import Screen
from codeact_bot.settings import load
from codeact_bot.types import Schedule

COLUMNS = ("name", "runs", "next", "who", "channel", "question")


async def schedules(arguments: argparse.Namespace) -> int:
    """List all schedules, or pause, resume or delete one. Raises ScheduleNotFound."""
    settings = load()
    async with app.open_store(settings, app.quiet) as store:
        desk = StoreDesk(store, settings.time_zone)
        match arguments.what:
            case "pause":
                await desk.pause(arguments.name)
            case "resume":
                await desk.resume(arguments.name)
            case "delete":
                await desk.remove_schedule(arguments.name)
        found = await store.schedules()
    console = Screen(highlight=False)
    if not found:
        Console(stderr=True).print("There are no schedules. In Slack and Discord `/codeact schedule` makes them.")
    elif console.is_terminal:
        _show(console, found)
    else:
        for schedule in found:
            print("\t".join(_cells(schedule)), flush=True)  # noqa: T201
    return 0


def _show(console: Console, found: Sequence[Schedule]) -> None:
    table = RichTable(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in COLUMNS:
        last = name == COLUMNS[-1]
        table.add_column(name, no_wrap=True, overflow="ellipsis" if last else "fold", ratio=1 if last else None)
    for schedule in found:
        table.add_row(*map(Text, _cells(schedule)), style="" if schedule.next else "dim")
    console.print(table)


def _cells(schedule: Schedule) -> tuple[str, ...]:
    order = schedule.order
    following = local(schedule.next, schedule.zone) if schedule.next else "paused"
    return schedule.id, schedule.said, following, one_line(order.author.name, 20), order.channel, one_line(schedule.question, 200)
