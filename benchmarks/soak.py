"""Two workers under faults: `python -m benchmarks.soak [--threads 500 --messages 2000 --write]`. Needs a mongod, the Slack emulator and, unless told
otherwise, Docker (`make parts`).

Two real `codeact-bot serve` processes share a real mongod. People write into threads of the Slack emulator; the model increments one variable per
question. Meanwhile workers are killed and replaced, mongod is stopped or killed and started again, and sandboxes are removed, all drawn with a seed.
At the end every question has one turn, one post and one answer, every count goes on from the one before or says why not, and nothing is left
behind; otherwise the status is 1. Slack sends again what nobody acknowledged, and now and then what somebody did: so do the people here.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import random
import signal
import sys
import tempfile
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import crew
from benchmarks.crew import Worker, until
from benchmarks.report import write
from benchmarks.verdict import Verdict, judge
from codeact_bot.errors import CodeactError
from codeact_bot.store.mongo import MongoStore
from tests import parts
from tests.replica_set import Server
from tests.slack import emulator, proxy
from tests.slack.emulator import ANN, BOT, CHANNEL, TEAM, Emulator

IN_FLIGHT = 24
"""Questions that wait for their answers at the same time."""
AGAIN = 3.0
"""Seconds after which a question that nobody has kept is sent again."""
TWICE = 0.05
"""The part of the questions that arrive twice although they were acknowledged."""
STUCK = 180.0
"""Seconds without any answer after which the rest counts as lost."""
BEGIN, END = "<!-- soak figures -->", "<!-- end of soak figures -->"


@dataclass(slots=True)
class Crowd:
    """What people have asked and what has become of it."""

    slack: Emulator
    store: MongoStore
    workers: list[Worker]
    dice: random.Random
    threads: list[str] = field(default_factory=list)
    """Per thread the time stamp of its first message, empty before that."""
    asked: dict[str, int] = field(default_factory=dict)
    """Time stamp of each question, and the thread it was asked in."""
    sent: dict[str, float] = field(default_factory=dict)
    """When each open question was last sent."""
    answered: dict[str, float] = field(default_factory=dict)
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))

    async def ask(self, thread: int) -> None:
        """Write a question into a thread."""
        await self.free.acquire()
        ts = await self.slack.send(f"<@{BOT}> count, please", thread=self.threads[thread])
        self.threads[thread] = self.threads[thread] or ts
        self.asked[ts], self.sent[ts] = thread, time.monotonic()
        if self.dice.random() < TWICE:
            await self.send_again(ts)

    async def send_again(self, ts: str) -> None:
        """Announce a question to any worker that can hear."""
        hearing = [worker.between for worker in self.workers if worker.between.sockets]
        if not hearing:
            return
        event = {"type": "app_mention", "channel": CHANNEL, "ts": ts, "user": ANN, "text": f"<@{BOT}> count, please"}
        first = self.threads[self.asked[ts]]
        event |= {"thread_ts": first} if first != ts else {}
        payload = {"type": "event_callback", "team_id": TEAM, "event_id": uuid.uuid4().hex, "event": event}
        await self.dice.choice(hearing).inject("events_api", payload)

    async def watch(self) -> None:
        """Take note of answers, and send again what nobody has kept."""
        while True:
            await asyncio.sleep(0.3)
            try:
                await self._look()
            except CodeactError:
                continue

    async def _look(self) -> None:
        ids = {f"{CHANNEL}:{ts}": ts for ts in self.sent}
        found = await states(self.store, list(ids))
        for name, ts in ids.items():
            if found.get(name) == "ended":
                self.answered[ts] = time.monotonic() - self.sent.pop(ts)
                self.free.release()
            elif name not in found and time.monotonic() - self.sent[ts] > AGAIN:
                self.sent[ts] = time.monotonic()
                await self.send_again(ts)


async def states(store: MongoStore, ids: list[str]) -> dict[str, str]:
    """Tell of each message that is kept whether it waits, or its turn is open or has ended. Raises StoreUnavailable."""
    database: Any = store._database
    try:
        waiting = [each async for each in database.threads.find({"pending.id": {"$in": ids}}, {"pending.id": 1})]
        turns = [each async for each in database.turns.find({"incoming.id": {"$in": ids}}, {"incoming.id": 1, "state": 1})]
    except Exception as error:
        raise CodeactError(str(error)) from error
    return {each["id"]: "waiting" for row in waiting for each in row["pending"]} | {row["incoming"]["id"]: row["state"] for row in turns}


@dataclass(slots=True)
class Faults:
    """What is done to the workers, the database and the sandboxes, and when it was done."""

    workers: list[Worker]
    server: Server
    dice: random.Random
    docker: bool
    done: list[tuple[float, str]] = field(default_factory=list)
    """When each began, in seconds since the epoch, and what it was."""

    async def happen(self, kind: str) -> None:
        """Do one thing."""
        self.done.append((time.time(), kind))
        if kind == "worker killed":
            worker = self.dice.choice(self.workers)
            await worker.end(signal.SIGKILL)
            await worker.start()
        elif kind == "sandbox removed":
            if not await asyncio.to_thread(crew.remove_one, self.workers, self.dice, of_docker=self.docker):
                self.done.pop()
        else:
            await asyncio.to_thread(self.server.stop, signal.SIGKILL if kind == "database killed" else signal.SIGTERM)
            await asyncio.sleep(self.dice.uniform(0, 3))
            await asyncio.to_thread(self.server.start)


async def soak(asked: argparse.Namespace, folder: Path) -> Verdict:
    """Run it all and judge what is left."""
    dice = random.Random(asked.seed)
    use_docker = asked.sandbox == "docker"
    (folder / "mongo").mkdir()
    server = Server(folder / "mongo")
    await asyncio.to_thread(server.start)
    try:
        async with AsyncExitStack() as stack:
            slack = await stack.enter_async_context(emulator.running(folder))
            between = [await stack.enter_async_context(proxy.running(slack.address)) for _ in range(2)]
            store = await MongoStore.open(server.url, "soak")
            stack.push_async_callback(store.aclose)
            workers = [Worker(each, variables(asked, server.url), folder / f"worker{number}.log") for number, each in enumerate(between)]
            crowd = Crowd(slack, store, workers, dice, threads=[""] * asked.threads)
            faults = Faults(workers, server, dice, use_docker)
            try:
                await asyncio.gather(*(worker.start() for worker in workers))
                began = time.monotonic()
                await drive(asked, crowd, faults)
                spent = time.monotonic() - began
                statuses = await asyncio.gather(*(worker.end(signal.SIGTERM) for worker in workers))
            finally:
                await asyncio.gather(*(worker.end(signal.SIGKILL) for worker in workers), return_exceptions=True)
            verdict = await judge(store, slack, crowd.threads, crowd.asked, faults.done)
            verdict.figures(asked, spent, sorted(crowd.answered.values()), collections.Counter(kind for _, kind in faults.done))
            verdict.left = [f"status {status}" for status in statuses if status] + await asyncio.to_thread(left, workers, docker=use_docker)
            return verdict
    finally:
        await asyncio.to_thread(server.stop, signal.SIGTERM)


async def drive(asked: argparse.Namespace, crowd: Crowd, faults: Faults) -> None:
    """Ask all questions, let the faults happen on the way, and wait until all is answered and delivered or nothing more comes."""
    dice = crowd.dice
    order = [number % asked.threads for number in range(asked.messages)]
    dice.shuffle(order)
    plan = ["worker killed"] * asked.kills + ["sandbox removed"] * asked.removals
    plan += [dice.choice(["database killed", "database stopped"]) for _ in range(asked.restarts)]
    due = collections.defaultdict(list)
    for kind in plan:
        due[dice.randrange(asked.messages // 20, asked.messages)].append(kind)
    watching = asyncio.create_task(crowd.watch())
    busy: asyncio.Task[None] | None = None
    try:
        for number, thread in enumerate(order):
            for kind in due[number]:
                if busy is not None:
                    await busy
                busy = asyncio.create_task(faults.happen(kind))
            async with asyncio.timeout(STUCK):
                await crowd.ask(thread)
            if number % 100 == 99:
                print(f"{number + 1} asked, {len(crowd.answered)} answered, {len(faults.done)} faults", flush=True)
        if busy is not None:
            await busy
        await settled(crowd)
    except TimeoutError:
        print("Nothing more is answered.", flush=True)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def settled(crowd: Crowd) -> None:
    """Wait until every question is answered and every answer delivered. Raises TimeoutError where nothing goes on."""
    database: Any = crowd.store._database
    deadline, before = time.monotonic() + STUCK, -1
    while crowd.sent or await database.owed.count_documents({}):
        if len(crowd.answered) != before:
            before, deadline = len(crowd.answered), time.monotonic() + STUCK
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.3)
    await until(lambda: _released(database), 10)


async def _released(database: Any) -> bool:
    return not await database.threads.count_documents({"$expr": {"$gt": ["$lease.until", "$$NOW"]}})


def variables(asked: argparse.Namespace, url: str) -> dict[str, str]:
    """The settings of a worker."""
    image = {"CODEACT_IMAGE": parts.IMAGE} if asked.sandbox == "docker" else {"CODEACT_PROCESS_FOR_OTHERS": "true"}
    tokens = {"SLACK_BOT_TOKEN": "xoxb-test", "SLACK_APP_TOKEN": "xapp-test"}
    given = {"CODEACT_MONGO_URL": url, "CODEACT_DATABASE": "soak", "CODEACT_SANDBOX": asked.sandbox, "CODEACT_HIBERNATE_MINUTES": "0.05"}
    return {**given, **image, **tokens}


def left(workers: list[Worker], *, docker: bool) -> list[str]:
    """Name the processes and containers that outlived their workers by more than ten seconds."""
    own = {pid for worker in workers for pid in worker.pids}
    deadline = time.monotonic() + 10
    while True:
        found = [Path(f"/proc/{pid}/cmdline").read_bytes()[:100].decode(errors="replace") for pid in crew.orphans(own)]
        found += crew.containers(workers) if docker else []
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Serve many threads while workers, database and sandboxes fail.")
    parser.add_argument("--threads", type=int, default=500)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=40, help="workers killed with SIGKILL, and replaced")
    parser.add_argument("--restarts", type=int, default=8, help="times that mongod is killed or stopped, and started again")
    parser.add_argument("--removals", type=int, default=80, help="containers removed, or sandbox processes killed")
    parser.add_argument("--sandbox", choices=["docker", "process"], default="docker")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--logs", default="", metavar="FOLDER", help="keep what the workers say there")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    parser.add_argument("--worker", action="store_true", help="be a worker")
    return parser.parse_args()


def main() -> int:
    """Run, print, and write where asked to."""
    asked = _arguments()
    if asked.worker:
        return crew.work()
    crew.adopt()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(asked.logs or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        verdict = asyncio.run(soak(asked, folder))
    print(verdict.table())
    if asked.write:
        write(verdict.table(), BEGIN, END)
    return int(verdict.wrong)


if __name__ == "__main__":
    sys.exit(main())
