"""Pages of the audit over 100,000 runs in a real mongod: `python -m benchmarks.audit [--runs N] [--write]`."""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.browsing import browsing
from codeact_bot.app import quiet
from codeact_bot.audit import turn_entries
from codeact_bot.store import documents, records, rows
from codeact_bot.store.embedded import EmbeddedMongo
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import (
    Author,
    By,
    CodeError,
    Completion,
    Deed,
    Ending,
    Execution,
    Incoming,
    Outcome,
    Query,
    RunCode,
    Status,
    Step,
    ThreadId,
    Trail,
    Turn,
    Usage,
)
from codeact_bot.verify import verify

BEGIN, END = "<!-- audit figures -->", "<!-- end of audit figures -->"
DAYS, PEOPLE, CHANNELS, WORDS = 365, 80, 25, 8_000
TARGET = 200.0
ERRORS = ("KeyError", "ValueError", "pandas.errors.ParserError", "ModuleNotFoundError", "ZeroDivisionError")
TURNS_RECORDED = 20_000
REPEATS = 9
NEWEST = datetime(2026, 11, 24, tzinfo=UTC)

Page = Callable[[], Awaitable[Any]]


class Team:
    """Makes up what a team asked in a year, the same each time."""

    def __init__(self, runs: int) -> None:
        self.chance, self.runs = random.Random(7), runs
        self.words = [f"word{number}" for number in range(WORDS)]

    def text(self, count: int) -> str:
        """Some words; the first of the list are frequent, the last rare."""
        return " ".join(self.words[min(WORDS - 1, int(self.chance.paretovariate(0.35)) - 1)] for _ in range(count))

    def turn(self, number: int) -> Turn:
        """The run of that number, oldest first."""
        person, started = self.chance.randrange(PEOPLE), NEWEST - timedelta(days=DAYS) * (1 - number / self.runs)
        place = f"slack:T1:C{self.chance.randrange(CHANNELS)}" if person % 4 else f"discord:7:{self.chance.randrange(CHANNELS)}"
        author = Author(id=f"U{person}", name=f"Person {person}")
        incoming = Incoming(id=f"m{number}", thread=ThreadId(f"{place}:{number // 4}"), author=author, text=self.text(12), at=started)
        steps = tuple(self.step(index) for index in range(self.chance.randint(1, 4)))
        ending = self.chance.choices(list(Ending)[:4], [90, 4, 3, 3])[0]
        ended = started + timedelta(seconds=self.chance.uniform(2, 90))
        outcome = Outcome(ending=ending, text=self.text(15))
        return Turn(id=records.turn_id(incoming), incoming=incoming, steps=steps, outcome=outcome, started=started, ended=ended)

    def step(self, index: int) -> Step:
        """One step, sometimes a failed one, seldom an expensive one."""
        failed = self.chance.random() < 0.2
        cost = self.chance.expovariate(100) + (5.0 if self.chance.random() < 0.0002 else 0.0)
        usage = Usage(input_tokens=self.chance.randint(500, 5000), output_tokens=self.chance.randint(50, 500), cost=cost)
        error = CodeError(type=self.chance.choice(ERRORS), message=self.text(4)) if failed else None
        run = Execution(status=Status.ERROR if failed else Status.OK, output=self.text(25), error=error, seconds=0.3)
        said = Completion(text="", usage=usage, model=self.chance.choice(("gpt-6-sol", "gpt-6-luna", "qwen-3")))
        return Step(index=index, completion=said, action=RunCode(thought="", code=self.text(20)), execution=run)


def document(turn: Turn) -> dict[str, Any]:
    """The document of a turn that has ended."""
    assert turn.outcome is not None
    opened = {"outcome": documents.document(turn.outcome), "ended": turn.ended, "reply": "", "turn": turn.id, "steps": {}}
    return rows.opened(turn, 1) | rows.ended(turn.incoming, turn.started, opened, turn.steps)


async def fill(store: MongoStore, runs: int) -> list[Turn]:
    """Put all runs into the database, and the records of some."""
    team, some = Team(runs), []
    for start in range(0, runs, 1_000):
        turns = [team.turn(number) for number in range(start, min(runs, start + 1_000))]
        await store._turns.insert_many([document(turn) for turn in turns], ordered=False)
        some += turns[:: max(1, runs // TURNS_RECORDED)]
        print(f"\r{start + len(turns):,} runs", end="", flush=True)
    for start in range(0, len(some), 100):
        await store.append([entry for turn in some[start : start + 100] for entry in turn_entries(turn)])
    print(f", {(await store.receipt()).number:,} records")  # type: ignore[union-attr]
    return some


async def pages(store: MongoStore, some: list[Turn]) -> dict[str, Page]:
    """Every kind of page, by name."""
    deep, middle = "", NEWEST - timedelta(days=DAYS / 2)
    for _ in range(50):
        deep = (await store.search(Query(limit=1_000, cursor=deep))).cursor

    def search(**given: Any) -> Page:
        return lambda: store.search(Query(**given))

    def totals(by: By, **given: Any) -> Page:
        return lambda: store.totals(Query(**given), by)

    def trail(**given: Any) -> Page:
        return lambda: store.records(Trail(**given))

    month = NEWEST - timedelta(days=30)
    return {
        "newest runs": search(),
        "runs behind the 50,000th": search(cursor=deep),
        "by person": search(person="U7"),
        "by channel": search(channel="slack:T1:C3"),
        "by platform": search(platform="discord"),
        "by date": search(since=middle, until=middle + timedelta(days=1)),
        "by status": search(ending=Ending.FAILED),
        "by error": search(error="KeyError"),
        "by model": search(model="qwen-3"),
        "by cost, one in 2,000": search(min_cost=5.0),
        "by cost, none": search(min_cost=99.0),
        "by a frequent word": search(text="word0"),
        "by a rare word": search(text=f"word{WORDS - 1}"),
        "by two words, person and error": search(text="word1 word40", person="Person 7", error="ParserError"),
        "by person and cost, none": search(person="U7", min_cost=99.0),
        "by a frequent word and cost, none": search(text="word0", min_cost=99.0),
        "by channel and status": search(channel="slack:T1:C3", ending=Ending.FAILED),
        **{f"totals by {by} of 30 days": totals(by, since=month) for by in By},
        **{f"totals by {by} of the year": totals(by) for by in By},
        "totals by day of a person": totals(By.DAY, person="U7"),
        "newest records": trail(),
        "records of a person": trail(person="U7"),
        "records of a kind": trail(kind=Deed.ASKED),
        "records of a run": trail(turn=some[len(some) // 2].id),
        "records of a day": trail(since=middle, until=middle + timedelta(days=1)),
        "a run opened": lambda: store.turn(some[len(some) // 2].id),
    }


async def measured(page: Page) -> list[float]:
    """Milliseconds of each of some calls, the first one left out."""
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        await page()
        times.append(1000 * (time.perf_counter() - began))
    return times[1:]


async def main(runs: int, write: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedMongo(Path(folder), quiet) as url:
            store = await MongoStore.open(url)
            try:
                some = await fill(store, runs)
                began = time.perf_counter()
                print(f"{await store.tally()} weeks added up in {time.perf_counter() - began:.0f} s", flush=True)
                lines = [("page", "median", "slowest of 9"), ("---",) * 3]
                async with browsing(store) as browsed:
                    for name, page in (await pages(store, some) | browsed).items():
                        times = await measured(page)
                        lines.append((name, f"{statistics.median(times):.0f} ms", f"{max(times):.0f} ms"))
                        print(*lines[-1], sep=" | ", flush=True)
                began = time.perf_counter()
                verdict = await verify(store)
                speed = verdict.records / (time.perf_counter() - began)
            finally:
                await store.aclose()
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text += f"\n\n{runs:,} runs, {verdict.records:,} records; the chain is verified at {speed:,.0f} records a second."
    print(text)
    if write:
        report.write(text, BEGIN, END)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="Time the pages of the audit.")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.runs, arguments.write))
