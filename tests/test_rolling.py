"""Two real `codeact-bot serve` processes that share the work, and are restarted one after the other under a steady stream of questions."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import signal
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Ending, Status, Turn
from tests import openai_server
from tests.slack import emulator, proxy
from tests.slack.conftest import until
from tests.slack.emulator import ANN, BOT, CHANNEL, TEAM, Emulator, labels, shown
from tests.slack.proxy import Proxy
from tests.slack.test_serve import serving, tokens

pytestmark = [pytest.mark.needs("slack", "mongo"), pytest.mark.timeout(400)]

THREADS, ROUNDS = 4, 4
CODE = """I count.

```python
count = globals().get("count", 0) + 1
open("log.txt", "a").write(f"{count} ")
print("count", count, open("log.txt").read())
print(2**100)
```
"""


@pytest.fixture
async def store(mongo_url: str) -> AsyncIterator[MongoStore]:
    opened = await MongoStore.open(mongo_url, f"rolling-{uuid.uuid4().hex[:12]}")
    yield opened
    await opened._client.drop_database(opened._database.name)
    await opened.aclose()


class Team:
    """People who ask in several threads, and what Slack does for them: what nobody acknowledged is sent again."""

    def __init__(self, slack: Emulator, between: Proxy, store: MongoStore) -> None:
        self.slack, self.between, self.store = slack, between, store
        self.asked: dict[str, list[str]] = {}

    async def begin(self) -> str:
        thread = await self.slack.send(f"<@{BOT}> Count.")
        self.asked[thread] = [thread]
        return thread

    async def ask(self, thread: str) -> None:
        self.asked[thread].append(await self.slack.send(f"<@{BOT}> Again.", thread=thread))

    async def turns(self, thread: str) -> list[Turn]:
        name = await self.store.conversation(f"slack:{TEAM}:{CHANNEL}:{thread}")
        return list(await self.store.turns(name)) if name else []

    async def kept(self, thread: str, ts: str) -> bool:
        name = await self.store.conversation(f"slack:{TEAM}:{CHANNEL}:{thread}")
        known = [each.incoming.id for each in await self.turns(thread)] + [each.id for each in await self.store.pending(name)] if name else []
        return f"{CHANNEL}:{ts}" in known

    async def insist(self) -> None:
        """Send again, as Slack does, the first question of each thread that has not arrived."""
        for thread, asked in self.asked.items():
            for ts in asked:
                if not await self.kept(thread, ts):
                    event = {"type": "app_mention", "channel": CHANNEL, "ts": ts, "user": ANN, "text": f"<@{BOT}> Again."}
                    event |= {"thread_ts": thread} if ts != thread else {}
                    with contextlib.suppress(ConnectionError, RuntimeError):
                        await self.between.inject("events_api", {"type": "event_callback", "team_id": TEAM, "event_id": uuid.uuid4().hex, "event": event})
                    break

    async def settled(self) -> bool:
        await self.insist()
        answered = [len(await self.turns(thread)) == len(asked) for thread, asked in self.asked.items()]
        return all(answered) and not await self.store._database.owed.count_documents({})


async def test_a_rolling_restart_loses_doubles_and_reorders_nothing(tmp_path: Path, mongo_url: str, store: MongoStore) -> None:
    database = store._database.name
    given = {"CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": database, "CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true"}
    given |= {"CODEACT_GRACE_SECONDS": "20", "CODEACT_LOG_LEVEL": "warning", "CODEACT_CONCURRENCY": "2"}
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between, AsyncExitStack() as stack:
        model = stack.enter_context(openai_server.running(code=CODE, pause=0.01))

        async def start() -> Process:
            before = len(between.sockets)
            process = await stack.enter_async_context(serving(tmp_path, OPENAI_BASE_URL=model, **given, **tokens(between.address)))
            await until(lambda: len(between.sockets) > before, 60)
            return process

        first, second = await start(), await start()
        team = Team(slack, between, store)
        threads = [await team.begin() for _ in range(THREADS)]
        owners: collections.Counter[str] = collections.Counter()

        async def watch() -> None:
            """See who holds what."""
            while True:
                async for thread in store._threads.find({"lease.until": {"$exists": True}}, {"lease": 1}):
                    owners[thread["lease"]["owner"]] += 1
                await asyncio.sleep(0.02)

        async def stream() -> None:
            for _ in range(ROUNDS - 1):
                await asyncio.sleep(0.7)
                for thread in threads:
                    await team.ask(thread)

        watching = asyncio.create_task(watch())
        async with asyncio.TaskGroup() as group:
            group.create_task(stream())
            for old in (first, second):
                await asyncio.sleep(1.0)
                old.send_signal(signal.SIGTERM)
                _, said = await old.communicate()
                assert old.returncode == 0, said
                assert b"Traceback" not in said
                await start()
        for thread in threads:
            await team.ask(thread)  # of the new ones, who are alone now
        await until(team.settled, 120)
        watching.cancel()
        posts = await slack.posts()
    assert len(owners) >= 3, f"the workers shared the work: {owners}"
    for thread, asked in team.asked.items():
        check_turns(await team.turns(thread), asked)
        answers = [post for post in posts if post["thread_ts"] == thread and not post.get("files")]
        assert len(answers) == len(asked), "each question has one post"
        assert [openai_server.RESULT in shown(post) and "Retry" in labels(post) for post in answers] == [True] * len(asked)


def check_turns(turns: list[Turn], asked: list[str]) -> None:
    assert [turn.incoming.id for turn in turns] == [f"{CHANNEL}:{ts}" for ts in asked], "in order, each once"
    log = ""
    for number, turn in enumerate(turns, start=1):
        assert turn.outcome is not None
        assert turn.outcome.ending is Ending.ANSWERED
        runs = [step.execution for step in turn.steps if step.execution is not None]
        assert [run.status for run in runs] == [Status.OK], "what was under way had its time to finish"
        log += f"{number} "
        assert runs[0].output.startswith(f"count {number} {log}\n"), f"{runs[0].output} with {runs[0].notes}"
