"""How fast state is saved and brought back: `python -m benchmarks.state [--write]`. Needs a mongod and Docker (`make parts`); the process sandbox is
measured, too. The limit, in the same kind of sandbox: a program that pickles the same variables (protocol 5), and writes the pickle to its output.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import docker

from benchmarks.bare import bare
from benchmarks.claims import claims
from benchmarks.crew import children
from benchmarks.report import write
from benchmarks.steps import steps
from codeact_bot.app import quiet
from codeact_bot.sandbox.docker import OWNER, DockerSandbox
from codeact_bot.sandbox.owner import myself
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import POLL_SECONDS
from codeact_bot.sessions import Sessions
from codeact_bot.store.embedded import EmbeddedMongo
from codeact_bot.store.mongo import MongoStore
from codeact_bot.thread_session import ThreadSession
from codeact_bot.types import Author, Bounds, Incoming, Lease, Resources, Status, ThreadId
from tests.parts import IMAGE

SMALL = "for i in range(1000):\n    globals()['v%d' % i] = [i, str(i), {'a': i}][i % 3]\ndel i\n"
FRAME = "import numpy, pandas\ndf = pandas.DataFrame(numpy.random.default_rng(1).random((625_000, 10)))\n"
RESOURCES = Resources(cpus=2.0)
AT_ONCE = 16
"""Conversations that are made at the same time."""
BEGIN, END = "<!-- state figures -->", "<!-- end of state figures -->"
Kind = DockerSandbox | ProcessSandbox


class Bench:
    """One kind of sandbox, and a real store."""

    def __init__(self, sandbox: Kind, store: MongoStore, url: str, times: int) -> None:
        self.sandbox, self.store, self.url, self.times = sandbox, store, url, times
        self._number = 0

    async def lease(self) -> Lease:
        """A conversation of its own."""
        self._number += 1
        thread = ThreadId(f"{self.sandbox.name}:{self._number}")
        await self.store.push(Incoming(id="1", thread=thread, author=Author(id="u", name="Ann"), text="Go."))
        lease = await self.store.claim("benchmark", 3600, (thread,))
        assert lease is not None
        return lease

    async def limit(self, code: str) -> tuple[float, float]:
        """Milliseconds for a pickle, inside, and until it is here."""
        pickler = await bare(self.sandbox)
        try:
            await pickler.make(code)
            inside, here = [], []
            for _ in range(self.times):
                inside.append(await pickler.pickle())
                here.append(await pickler.send())
            return statistics.median(inside), statistics.median(here)
        finally:
            await pickler.aclose()

    async def saved(self, code: str, *, again: str = "") -> tuple[float, float, float, int]:
        """Milliseconds that code waits which comes at the same moment as the snapshot, until the snapshot is here, and until it is in the store;
        and the bytes that came. With `again`, of a second snapshot after that code.
        """
        waits, here, stored, sent = [], [], [], 0
        for _ in range(self.times):
            async with Sessions(self.sandbox, self.store, pool=0) as sessions:
                lease = await self.lease()
                session = sessions.of(lease.thread)
                await session.snapshot()
                await run(session, code)
                if again:
                    first = await session.snapshot()
                    await self.store.save_snapshot(lease, first)
                    session.kept(part.digest for part in first.parts)
                    await run(session, again)
                began = time.perf_counter()
                saving = asyncio.create_task(session.snapshot())
                await asyncio.sleep(0)
                await run(session, "pass")
                waits.append(since(began))
                await saving
                began = time.perf_counter()
                state = await session.snapshot()
                here.append(since(began))
                await self.store.save_snapshot(lease, state)
                stored.append(since(began))
                sent = sum(part.size for part in state.parts if part.data is not None)
        return statistics.median(waits), statistics.median(here), statistics.median(stored), sent

    async def first(self) -> float:
        """Milliseconds of a sandbox's first snapshot, of nothing."""
        times = []
        for _ in range(self.times):
            session = await self.sandbox.start("benchmark")
            times.append(await timed(lambda session=session: session.snapshot(limit=1_000_000)))
            await session.aclose()
        return statistics.median(times)

    async def woken(self) -> tuple[float, float, float]:
        """Milliseconds to the first result of a cold start, and of a small state's wake-up in the same worker and in another."""
        cold, same, other = [], [], []
        store = await MongoStore.open(self.url, "state")
        async with Sessions(self.sandbox, self.store, pool=0) as ours, Sessions(self.sandbox, store, pool=0) as theirs:
            for _ in range(self.times):
                lease = await self.lease()
                cold.append(await timed(lambda lease=lease: run(ours.of(lease.thread), "kept = 42")))
                await self.store.save_snapshot(lease, await ours.of(lease.thread).snapshot())
                for sessions, times in ((ours, same), (theirs, other)):
                    await sessions.forget(lease.thread)
                    times.append(await timed(lambda sessions=sessions, lease=lease: run(sessions.of(lease.thread), "assert kept == 42")))
                    await sessions.forget(lease.thread)
        await store.aclose()
        return statistics.median(cold), statistics.median(same), statistics.median(other)

    async def asleep(self, count: int) -> str:
        """Make so many conversations, put them to sleep, and say what of them is left here."""
        async with Sessions(self.sandbox, self.store, pool=0) as sessions:
            await self._conversations(sessions, 2 * AT_ONCE)
            await sessions.hibernate(0)
            before, there = memory(), await asyncio.to_thread(self._running)
            made = 0
            while made < count:
                await self._conversations(sessions, min(AT_ONCE, count - made))
                made += AT_ONCE
                await sessions.hibernate(0)
            after, left = memory(), await asyncio.to_thread(self._running)
        return f"{before:.1f} → {after:.1f} MiB, {there} → {left}"

    async def _conversations(self, sessions: Sessions, count: int) -> None:
        async def one() -> None:
            lease = await self.lease()
            async with sessions.hold(lease) as session:
                await run(session, "kept = 42")
                await self.store.save_snapshot(lease, await session.snapshot())
            await self.store.release(lease)

        await asyncio.gather(*(one() for _ in range(count)))

    def _running(self) -> int:
        """Count the containers, or the processes, that this process has now."""
        if isinstance(self.sandbox, ProcessSandbox):
            return len(list(children(int(myself().split("/")[1]))))
        client = docker.from_env().api
        try:
            return len(client.containers(all=True, filters={"label": f"{OWNER}={myself()}"}))
        finally:
            client.close()


async def run(session: ThreadSession, code: str) -> None:
    """Run code that has to succeed."""
    execution = await session.run(code, seconds=60, bounds=Bounds(), printed=ignore)
    if execution.status is not Status.OK:
        raise RuntimeError(str(execution))


async def ignore(_: str) -> None:
    """Do not look at output."""


def since(began: float) -> float:
    """Milliseconds since then."""
    return 1000 * (time.perf_counter() - began)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds that work takes."""
    began = time.perf_counter()
    await work()
    return since(began)


def memory() -> float:
    """MiB that this process has in memory."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def ratio(value: float, limit: float) -> str:
    """Compare with the limit, where that takes long enough to mean something."""
    return f" ({value / limit:.2f} ×)" if limit > 1 else ""


async def column(bench: Bench, asleep: int) -> list[tuple[str, str, str]]:
    """Measure one kind of sandbox; returns rows of figure, value and target."""
    print(f"measuring {bench.sandbox.name} …", flush=True)
    rows = [("the first snapshot of a sandbox, of nothing", ms(await bench.first()), "")]
    for name, code, again in (
        ("1,000 small variables", SMALL, ""),
        ("a DataFrame of 50 MB", FRAME, ""),
        ("the same again, one small variable changed", FRAME, "small = 1"),
    ):
        inside, sent = await bench.limit(code)
        waits, here, stored, size = await bench.saved(code, again=again)
        goal = "30 ms" if code is SMALL else f"1.5 × {ms(inside)}"
        rows += [
            (f"{name}: limit, pickled inside / and sent", f"{ms(inside)} / {ms(sent)}", ""),
            (f"{name}: the next step waits", f"{ms(waits)}{ratio(waits, inside)}", goal),
            (f"{name}: the snapshot is here ({size:,} bytes)", f"{ms(here)}{ratio(here, sent)}", "30 ms" if code is SMALL else ""),
            (f"{name}: it is stored", ms(stored), ""),
        ]
    cold, same, other = await bench.woken()
    rows += [
        ("cold start to the first result", ms(cold), ""),
        ("wake-up to the first result, same worker / another", f"{ms(same)} / {ms(other)}", "500 ms"),
        (f"{asleep:,} sleeping conversations: the worker's memory, its sandboxes", await bench.asleep(asleep), "no more"),
        ("a step without the model, median / p95", " / ".join(map(ms, await steps(bench.sandbox, bench.url))), "15 ms"),
    ]
    return rows


async def measured(url: str, asked: argparse.Namespace) -> str:
    """Measure everything and return the tables."""
    store = await MongoStore.open(url, "state")
    columns = []
    for sandbox in (DockerSandbox(image=asked.image or IMAGE, resources=RESOURCES), ProcessSandbox(resources=RESOURCES)):
        await sandbox.prepare(quiet)
        columns.append((sandbox.name, await column(Bench(sandbox, store, url, asked.times), asked.asleep)))
        await sandbox.aclose()
    sandbox = ProcessSandbox()
    streamed = await claims(sandbox, url, streams=True, count=3 * asked.times)
    polled = await claims(sandbox, url, streams=False, count=3 * asked.times)
    await sandbox.aclose()
    await store.aclose()
    (first, one), (second, two) = columns
    lines = [f"| figure | {first} | {second} | target: at most |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {left[0]} | {left[1]} | {right[1]} | {left[2]}{f', {right[2]}' if right[2] != left[2] else ''} |"
        for left, right in zip(one, two, strict=True)
    ]
    lines += ["", "| from accept to claim by another worker | median / longest | target: at most |", "| --- | --- | --- |"]
    lines += [f"| by change stream | {between(streamed)} | 50 ms |", f"| by polling | {between(polled)} | {1000 * POLL_SECONDS:.0f} ms |"]
    return "\n".join(lines)


def between(times: Sequence[float]) -> str:
    return f"{ms(statistics.median(times))} / {ms(max(times))}"


async def main(asked: argparse.Namespace) -> None:
    """Measure and print, and write where asked to."""
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedMongo(Path(folder), quiet) as url:
            text = await measured(url, asked)
    print(text)
    if asked.write:
        write(text, BEGIN, END)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.state", description="Measure how fast state is saved and brought back.")
    parser.add_argument("--times", type=int, default=7, help="measurements of which the median is taken")
    parser.add_argument("--asleep", type=int, default=1000, help="conversations that are put to sleep")
    parser.add_argument("--image", default="", help="the image of the containers; it needs pandas")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_arguments()))
