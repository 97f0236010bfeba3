"""How fast Slack is served: `python -m benchmarks.chat [--write]`. Needs a mongod and the Slack emulator (`make parts`); run it on two cores.

Both subjects are behind the tests' proxy, which takes the times: the limit is a Bolt app that writes each event once (majority, journaled),
acknowledges it and posts one message; ours is the whole worker with a scripted model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack import SlackAdapter
from benchmarks.report import write
from codeact_bot.agent.loop import Loop
from codeact_bot.app import quiet
from codeact_bot.desk import StoreDesk
from codeact_bot.model.scripted import stream, tokens_of
from codeact_bot.ports import Hear
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.store.embedded import EmbeddedMongo
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Access, Completion, Message, Usage
from tests.slack import emulator, proxy
from tests.slack.emulator import ANN, BOT, CHANNEL, TEAM, shown

RATE, EVENTS, THREADS, WARM, CROWD = 50, 1000, 25, 100, 200
"""Events a second; in all; threads they go to (every tenth begins one more); events before the counting begins; threads at once."""
SLOW = 15.0
"""Seconds of an answer where many are to be under way together."""
BEGIN, END = "<!-- chat figures -->", "<!-- end of chat figures -->"


class Echo:
    """A model that repeats the question; from number EVENTS on it takes `SLOW` seconds for that."""

    name = "echo"

    async def complete(self, messages: Sequence[Message], hear: Hear) -> Completion:
        words = f"You asked: {messages[-1].content.strip().splitlines()[-1]}"
        slow = int(words.rsplit(maxsplit=1)[-1]) >= EVENTS
        heard, _ = await stream(words, hear, SLOW * 5 / len(words) if slow else 0.0)
        return Completion(text=heard, usage=Usage(output_tokens=tokens_of(heard)), model=self.name)

    async def aclose(self) -> None:
        """Nothing is open."""


async def worker(url: str, address: str) -> None:
    """The worker of `codeact-bot serve` with a scripted model, until SIGTERM; prints the lags of its event loop in milliseconds."""
    store = await MongoStore.open(url, "chat")
    slack = SlackAdapter(
        bot_token="xoxb-test", app_token="xapp-test", signing_secret="", base_url=f"{address}/api/", http="", desk=StoreDesk(store), access=Access()
    )
    sandbox = ProcessSandbox()
    lags: list[float] = []
    async with Sessions(sandbox, store, pool=0) as sessions, asyncio.TaskGroup() as group:
        service = Service(store=store, sessions=sessions, loop=Loop(model=Echo()), adapters=[slack], concurrency=2 * CROWD)
        tasks = [group.create_task(service.run()), group.create_task(_watch(lags))]
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: [task.cancel() for task in tasks])
        loop.add_signal_handler(signal.SIGUSR1, lags.clear)
    await sandbox.aclose()
    await store.aclose()
    print(json.dumps(lags))


async def _watch(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        lags.append(1000 * (time.perf_counter() - before - 0.01))


@asynccontextmanager
async def ours(url: str, address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The worker, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.chat", "--worker", url, address]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 26)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def limit(url: str, address: str) -> AsyncIterator[None]:
    """Bolt, one durable write, one post."""
    mongo: Any = AsyncIOMotorClient(url)
    events = mongo.limit.get_collection("events", write_concern=WriteConcern("majority", j=True))
    app = AsyncApp(client=AsyncWebClient("xoxb-test", base_url=f"{address}/api/"), signing_secret="unused")

    async def take(event: dict[str, Any], next: Callable[[], Any]) -> None:
        await events.insert_one({"_id": event["ts"], "text": event["text"]})
        await next()

    async def post(event: dict[str, Any]) -> None:
        await app.client.chat_postMessage(channel=event["channel"], thread_ts=event["ts"], text="Working…")

    app.event("app_mention", middleware=[take])(post)
    handler = AsyncSocketModeHandler(app, "xapp-test")
    await handler.connect_async()
    yield
    await handler.close_async()
    mongo.close()


def stamp(number: int) -> str:
    return f"{1_700_000_000 + number}.000100"


def mention(number: int, thread: int | None = None) -> dict[str, Any]:
    """Ask in a new thread, or in the one that an earlier question began."""
    event = {"type": "app_mention", "channel": CHANNEL, "ts": stamp(number), "user": ANN, "text": f"<@{BOT}> question {number}"}
    event |= {"thread_ts": stamp(thread)} if thread is not None else {}
    return {"type": "event_callback", "team_id": TEAM, "event_id": f"E{number}", "event": event}


async def paced(between: proxy.Proxy) -> tuple[list[float], list[float]]:
    """Send events at the rate; returns the milliseconds to each acknowledgement, and from there to the first post in its thread."""
    began, sent = time.perf_counter(), {}
    for number in range(EVENTS):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        at = time.perf_counter()
        begins = number < THREADS or number % 10 == 0
        sent[number] = (await between.inject("events_api", mention(number, None if begins else number % THREADS)), at, begins)
    await _until(lambda: len(between.acks) >= EVENTS and between.calls["chat.postMessage"] >= EVENTS)
    posts = _first_posts(between)
    counted = {number: each for number, each in sent.items() if number >= WARM}
    acks = [1000 * (between.acks[name] - at) for name, at, _ in counted.values()]
    working = [1000 * (posts[stamp(number)] - between.acks[name]) for number, (name, _, begins) in counted.items() if begins]
    return acks, working


def _first_posts(between: proxy.Proxy) -> dict[str, float]:
    posts: dict[str, float] = {}
    for (method, given), at in zip(between.given, between.at, strict=True):
        if method == "chat.postMessage" and given.get("thread_ts"):
            posts.setdefault(given["thread_ts"], at)
    return posts


async def crowd(slack: emulator.Emulator, between: proxy.Proxy) -> tuple[int, int, int]:
    """Ask in so many threads at once; returns the answers that were lost, doubled, and in the wrong thread."""
    numbers = range(EVENTS, EVENTS + CROWD)
    for number in numbers:
        await between.inject("events_api", mention(number))
    wanted = {stamp(number): f"You asked: question {number}" for number in numbers}
    found: dict[str, list[str]] = {}
    for _ in range(120):
        await asyncio.sleep(1)
        posts = [each for each in await slack.posts() if each.get("thread_ts") in wanted]
        found = {ts: [shown(each) for each in posts if each["thread_ts"] == ts] for ts in wanted}
        if all(any("token" in each for each in texts) for texts in found.values()):
            break
    lost = sum(not any(text in each for each in found[ts]) for ts, text in wanted.items())
    crossed = sum(not each.startswith(wanted[ts]) for ts, texts in found.items() for each in texts)
    return lost, sum(len(each) > 1 for each in found.values()), crossed


async def _until(true: Callable[[], bool], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


def cells(times: Sequence[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"{statistics.median(times):.1f} / {cuts[94]:.1f} / {cuts[98]:.1f} ms"


async def main(*, keep: bool) -> None:
    """Measure and print, and write where asked to."""
    lines = [f"| subject | event to acknowledgement at {RATE}/s, median / p95 / p99 | from there to “Working…” |", "| --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedMongo(Path(folder), quiet) as url:
            for name, subject in (("limit: Bolt, one durable write, one post", limit), ("ours", ours)):
                async with emulator.running(Path(folder)) as slack, proxy.running(slack.address) as between, subject(url, between.address) as process:
                    await _until(lambda between=between: bool(between.sockets))
                    acks, working = await paced(between)
                    lines.append(f"| {name} | {cells(acks)} | {cells(working)} |")
                    if process is not None:
                        await asyncio.sleep(5)
                        process.send_signal(signal.SIGUSR1)
                        lost, doubled, crossed = await crowd(slack, between)
                        process.send_signal(signal.SIGTERM)
                        lags = json.loads((await process.communicate())[0])
                        faults = f"{lost} answers lost, {doubled} doubled, {crossed} in the wrong thread"
                        said = f"{CROWD} threads at once: {faults}; event-loop lag {cells(lags)}"
    text = "\n".join([*lines, "", f"{said} (median / p95 / p99)."])
    print(text)
    if keep:
        write(text, BEGIN, END)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description="Measure how fast Slack is served.")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    parser.add_argument("--worker", nargs=2, metavar=("MONGO", "SLACK"), help="be the worker that is measured")
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    asyncio.run(worker(*asked.worker) if asked.worker else main(keep=asked.write))
