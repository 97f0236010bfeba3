"""The workers of the soak: real `codeact-bot serve` processes with a model that counts, behind a proxy each, and ways to end them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import docker
from docker.errors import APIError

from adapters.common import pace
from codeact_bot import app, delivery, serve, service
from codeact_bot.model.scripted import stream, tokens_of
from codeact_bot.ports import Hear
from codeact_bot.sandbox.docker import OWNER
from codeact_bot.store import records
from codeact_bot.types import Completion, Message, Usage
from tests.slack.proxy import Proxy

CODE = """I count.

```python
count = globals().get("count", 0) + 1
print("count", count)
```
"""
SET_CHILD_SUBREAPER = 36
"""Of prctl(2): processes whose parents were killed become ours, so that none can be left unseen."""


class Counting:
    """A model that increments a variable once per question."""

    name = "counting"

    async def complete(self, messages: Sequence[Message], hear: Hear) -> Completion:
        found = re.search(r"^count (\d+)$", messages[-1].content, re.MULTILINE)
        heard, _ = await stream(f"The count is {found[1]}." if found else CODE, hear, 0.005)
        return Completion(text=heard, usage=Usage(output_tokens=tokens_of(heard)), model=self.name)

    async def aclose(self) -> None:
        """Nothing is open."""


def work() -> int:
    """Be a worker: `codeact-bot serve` with the model that counts; what waits for dead workers waits for seconds only, so that many can die."""
    app.make_model = lambda settings: Counting()  # type: ignore[assignment]
    app.HIBERNATE_SECONDS = 1.0
    service.LEASE_SECONDS, records.GRACE, delivery.SECONDS, delivery.LOOK_SECONDS = 5.0, 3.0, 3.0, 0.5
    pace.FIRST_WAIT = 0.2
    return asyncio.run(serve.serve())


class Worker:
    """One worker after the other behind the same proxy."""

    def __init__(self, between: Proxy, variables: Mapping[str, str], log: Path) -> None:
        self.between = between
        self.pids: list[int] = []
        self._variables = {**variables, "CODEACT_SLACK_BASE_URL": f"{between.address}/api/"}
        self._log = log

    async def start(self) -> None:
        """Start one, and wait until events reach it."""
        known = {name: os.environ[name] for name in ("PATH", "LANG", "DOCKER_HOST") if name in os.environ}
        home = {"HOME": str(self._log.parent), "PYTHONPATH": str(Path.cwd())}
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "benchmarks.soak", "--worker"]
            environment = {**known, **home, **self._variables}
            self._process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.pids.append(self._process.pid)
        await until(lambda: bool(self.between.sockets) or self._process.returncode is not None, 60)

    async def end(self, number: int) -> int:
        """Send it a signal, and wait for its end and that of its connections; returns its status."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        status = await asyncio.wait_for(self._process.wait(), 60)
        await until(lambda: not self.between.sockets, 30)
        return status

    def sandboxes(self) -> list[int]:
        """The processes that it has started, as far as it is known to live."""
        return list(children(self._process.pid))


def adopt() -> None:
    """Become the parent of whatever loses its own."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(parent: int) -> Iterator[int]:
    """Find the living children of a process."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, above = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z" and above == str(parent):
                yield int(stat.parent.name)


def containers(workers: Sequence[Worker]) -> list[str]:
    """Find the containers that these workers have made."""
    pids = {str(pid) for worker in workers for pid in worker.pids}
    client = docker.from_env().api
    try:
        found = client.containers(all=True, filters={"label": OWNER})
        return [each["Id"] for each in found if each["Labels"][OWNER].split("/")[1] in pids]
    finally:
        client.close()


def remove_one(workers: Sequence[Worker], dice: random.Random, *, of_docker: bool) -> bool:
    """Take a sandbox away from its worker; False where there is none."""
    if not of_docker:
        found = [pid for worker in workers for pid in worker.sandboxes()]
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(found), signal.SIGKILL)
        return bool(found)
    names = containers(workers)
    if names:
        client = docker.from_env().api
        with contextlib.suppress(APIError):
            client.remove_container(dice.choice(names), force=True)
        client.close()
    return bool(names)


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float) -> None:
    """Wait until something is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        found = true()
        if await found if isinstance(found, Awaitable) else found:
            return
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.1)


def orphans(workers: Collection[int]) -> list[int]:
    """Find the living processes of our own that come from workers which have ended: they were adopted, and are in none of our own sessions."""
    return [pid for pid in children(os.getpid()) if os.getsid(pid) != os.getsid(0) and pid not in workers]
