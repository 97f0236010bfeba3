"""A worker is killed with SIGKILL at one point of a turn after the other, and the next goes on: real Slack library, Docker, mongod, model server.

Two hundred kills at random points, with a seed; CODEACT_KILLS and CODEACT_SEED say otherwise.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import random
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from codeact_bot.audit import turn_entries
from codeact_bot.store.mongo import MongoStore
from codeact_bot.thread_session import STATE_BEHIND, STATE_LOST
from codeact_bot.types import Ending, Status, Trail, Turn, step_mark
from codeact_bot.verify import verify
from tests import guards, openai_server
from tests.crash_worker import POINTS
from tests.slack import emulator, proxy
from tests.slack.conftest import until
from tests.slack.emulator import ANN, BOT, CHANNEL, TEAM, Emulator, labels, shown
from tests.slack.proxy import Proxy

pytestmark = [pytest.mark.needs("docker", "image", "slack", "mongo"), pytest.mark.timeout(1500)]

KILLS = int(os.environ.get("CODEACT_KILLS", "200"))
SEED = int(os.environ.get("CODEACT_SEED", "4"))
CHAINS = 3
FIRST = ["before move", "after move", "before push"]
"""Points that the first question of a conversation passes, one for each chain."""
CODE = """I compute it.

```python
count = globals().get("count", 0) + 1
print("count", count)
open("out.txt", "w").write(str(count))
print(2**100)
```
"""


class Workers:
    """One worker after the other."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.point = ""
        self.alive = False
        self.status: int | None = None
        self.pid = 0

    async def start(self, label: str, count: int) -> None:
        assert not self.alive
        assert self._process.stdin is not None
        self.point, self.alive, self.pid = "", True, 0
        self._process.stdin.write(f"{label} {count}\n".encode())

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            kind, _, rest = line.decode().strip().partition(" ")
            if kind == "at":
                self.point = rest
            elif kind == "pid":
                self.pid = int(rest)
            elif kind == "end":
                self.status, self.alive = int(rest), False

    async def end(self, number: int) -> None:
        """Send the worker a signal and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            if self.alive:
                os.kill(self.pid, number)
        await until(lambda: not self.alive, 60)


@asynccontextmanager
async def opened(folder: Path, **variables: str) -> AsyncIterator[Workers]:
    known = {name: os.environ[name] for name in os.environ if name in ("PATH", "LANG", "DOCKER_HOST")}
    with (folder / "worker.log").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash_worker", str(folder / "begun"), stdin=PIPE, stdout=PIPE, stderr=said,
            env={**known, "HOME": str(folder), "PYTHONPATH": str(Path.cwd()), **variables},
        )  # fmt: skip
        workers = Workers(process)
        listening = asyncio.create_task(workers.listen())
        try:
            yield workers
        finally:
            await workers.end(9)
            process.terminate()
            await process.wait()
            await listening


class Chain:
    """One conversation, whose workers are killed one after the other."""

    def __init__(self, slack: Emulator, between: Proxy, workers: Workers, store: MongoStore, dice: random.Random) -> None:
        self.slack, self.between, self.workers, self.store, self.dice = slack, between, workers, store, dice
        self.asked: list[str] = []
        self.history: list[tuple[str, str]] = []
        """At which points workers were killed, and the last question by then."""
        self.killed: collections.Counter[str] = collections.Counter()

    async def connect(self, label: str, count: int) -> None:
        await until(lambda: not self.between.sockets, 30)
        await self.workers.start(label, count)
        await until(lambda: bool(self.between.sockets) or not self.workers.alive, 60)

    async def ask(self) -> None:
        """Ask, unless the worker died before it could hear; what it did not acknowledge Slack sends again."""
        thread = self.asked[0] if self.asked else ""
        self.asked.append(await self.slack.send(f"<@{BOT}> Once more: 2**100?", thread=thread))
        await asyncio.sleep(0.05)

    async def kept(self) -> bool:
        thread = await self.store.conversation(f"slack:{TEAM}:{CHANNEL}:{self.asked[0]}")
        known = {each.incoming.id for each in await self.store.turns(thread)} | {each.id for each in await self.store.pending(thread)} if thread else set()
        return f"{CHANNEL}:{self.asked[-1]}" in known

    async def resend(self) -> None:
        event = {"type": "app_mention", "channel": CHANNEL, "ts": self.asked[-1], "user": ANN, "text": f"<@{BOT}> Once more: 2**100?"}
        thread = {} if len(self.asked) == 1 else {"thread_ts": self.asked[0]}
        with contextlib.suppress(ConnectionError, ValueError):  # the worker may die now; the next one is sent it again
            await self.between.inject("events_api", {"type": "event_callback", "team_id": TEAM, "event_id": uuid.uuid4().hex, "event": {**event, **thread}})

    async def turns(self) -> list[Turn]:
        thread = await self.store.conversation(f"slack:{TEAM}:{CHANNEL}:{self.asked[0]}")
        return list(await self.store.turns(thread)) if thread else []

    async def settled(self) -> bool:
        """Whether everything asked is answered and delivered."""
        return len(await self.turns()) == len(self.asked) and not await self.store._database.owed.count_documents({})

    async def kill(self, label: str) -> None:
        """Let a worker answer what is left and one question more, and die on the way."""
        await self.connect(label, self.dice.choice([1, 1, 1, 2, 3]) if self.asked else 1)
        if self.workers.alive and self.asked and not await self.kept():
            await self.resend()
        if self.workers.alive and (not self.asked or await self.kept()):
            await self.ask()

        async def over() -> bool:
            return not self.workers.alive or (bool(self.asked) and await self.settled())

        await until(over, 60)
        await self.workers.end(9)
        self.killed[self.workers.point or "idle"] += 1
        self.history.append((self.workers.point, self.asked[-1] if self.asked else ""))

    async def finish(self) -> None:
        await self.connect("nowhere", 1)
        if not await self.kept():
            await self.resend()
        await until(self.settled, 90)
        await asyncio.sleep(0.5)
        await self.workers.end(15)
        assert self.workers.status == 0


async def test_killed_at_any_point_every_question_is_answered_once(tmp_path: Path, mongo_url: str, docker_image: str) -> None:
    before = guards.containers()
    rest = [point for point in POINTS if point not in FIRST] * (KILLS // len(POINTS) + 1)
    random.Random(SEED).shuffle(rest)
    points = [*FIRST, *rest]
    with openai_server.running(code=CODE) as model:
        async with asyncio.TaskGroup() as group:
            chains = [
                group.create_task(run(tmp_path / str(number), mongo_url, docker_image, model, points[:KILLS][number::CHAINS], random.Random(SEED + number)))
                for number in range(CHAINS)
            ]
    killed = sum((chain.result() for chain in chains), collections.Counter())
    print(json.dumps(killed, indent=1))  # noqa: T201
    assert killed.total() == KILLS
    if len(POINTS) * 4 <= KILLS:
        missed = [point for point in POINTS if not killed[point]]
        assert len(missed) <= len(POINTS) // 10, missed
    assert guards.containers() <= before


async def run(folder: Path, mongo_url: str, image: str, model: str, points: list[str], dice: random.Random) -> collections.Counter[str]:
    folder.mkdir()
    database = f"crash_{uuid.uuid4().hex[:12]}"
    store = await MongoStore.open(mongo_url, database)
    given = {"CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": database, "CODEACT_SANDBOX": "docker", "CODEACT_IMAGE": image, "OPENAI_BASE_URL": model}
    tokens = {"SLACK_BOT_TOKEN": "xoxb-test", "SLACK_APP_TOKEN": "xapp-test"}
    try:
        async with emulator.running(folder) as slack, proxy.running(slack.address) as between:
            async with opened(folder, **given, **tokens, CODEACT_SLACK_BASE_URL=f"{between.address}/api/") as workers:
                chain = Chain(slack, between, workers, store, dice)
                for point in points:
                    await chain.kill(point)
                await chain.finish()
            check_turns(await chain.turns(), chain.asked)
            check_posts(sorted(await slack.posts(), key=lambda post: float(post["ts"])), chain.asked, chain.history)
            check_begun((folder / "begun").read_text().split(), await chain.turns())
            await check_records(store, await chain.turns())
            return chain.killed
    finally:
        await store._client.drop_database(database)
        await store.aclose()


def check_turns(turns: list[Turn], asked: list[str]) -> None:
    assert [turn.incoming.id for turn in turns] == [f"{CHANNEL}:{ts}" for ts in asked], "in order, each once"
    count = 0
    for turn in turns:
        assert turn.outcome is not None
        assert turn.outcome.ending is Ending.ANSWERED, turn.outcome
        assert openai_server.RESULT in turn.outcome.text
        runs = [step.execution for step in turn.steps if step.execution is not None]
        assert runs[-1].status is Status.OK
        assert {run.status for run in runs[:-1]} <= {Status.LOST}, "a step that ended well was run again"
        now = int(runs[-1].output.split()[1])
        told = {STATE_BEHIND, STATE_LOST} & {*runs[-1].notes}
        assert now == count + 1 or told, f"{turn.incoming.id}: {count} became {now}, and nobody was told: {runs[-1].notes}"
        count = now


def check_posts(posts: list[dict[str, Any]], asked: list[str], history: list[tuple[str, str]]) -> None:
    answers = [post for post in posts if not post.get("files")]
    uploads = [post for post in posts if post.get("files")]
    assert [shown(post) for post in answers if openai_server.RESULT not in shown(post) or "Retry" not in labels(post)] == []
    assert len(answers) == len(asked)
    order = [(post["ts"], "upload" if post.get("files") else "answer") for post in posts]
    assert len(uploads) == len(asked), f"posts {order} after the kills {history}"
    assert {post["thread_ts"] for post in posts} == {asked[0]}


async def check_records(store: MongoStore, turns: list[Turn]) -> None:
    assert (await verify(store)).faults == ()
    for turn in turns:
        recorded = [record.entry.key for record in (await store.records(Trail(turn=turn.id, limit=1_000))).records]
        assert sorted(recorded) == sorted(entry.key for entry in turn_entries(turn)), "all that ran, each once"


def check_begun(begun: list[str], turns: list[Turn]) -> None:
    assert len(begun) == len(set(begun)), "a step was run twice"
    steps = {step_mark(turn.id, step.index) for turn in turns for step in turn.steps}
    assert set(begun) <= steps
