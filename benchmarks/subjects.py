"""What is measured: the bare limit, and ours on Docker, gVisor and a process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import docker

from codeact_bot.pool import Pool
from codeact_bot.sandbox.attach import DockerChannel
from codeact_bot.sandbox.docker import THREAD, DockerSandbox, _attach
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.types import Bounds, Resources, Status

RESOURCES = Resources(cpus=2.0)
WHOLE = Bounds(output=32 * 1024 * 1024)

BARE_WORKER = """
import contextlib, io, json, signal, sys
signal.signal(signal.SIGALRM, signal.default_int_handler)
space = {}
for line in sys.stdin:
    (code, seconds), out = json.loads(line), io.StringIO()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(out):
        exec(code, space)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps(out.getvalue()), flush=True)
"""
"""The limit: ten lines, no more than what running code and a time limit need."""


class Conversation(Protocol):
    """A started sandbox."""

    async def run(self, code: str, seconds: float) -> str:
        """Run code and return all that it printed."""

    async def aclose(self) -> None:
        """Remove the sandbox."""


class Subject(Protocol):
    """Something that starts sandboxes."""

    name: str

    async def start(self, label: str) -> Conversation:
        """Start a sandbox, cold."""

    async def aclose(self) -> None:
        """Let go of everything."""


class BareConversation:
    """Talks to the ten-line worker."""

    def __init__(self, channel: DockerChannel) -> None:
        self._channel = channel

    async def run(self, code: str, seconds: float) -> str:
        await self._channel.send(json.dumps([code, seconds]).encode() + b"\n")
        answer = [await self._channel.receive()]
        while not answer[-1].endswith(b"\n"):
            answer.append(await self._channel.receive())
        return str(json.loads(b"".join(answer)))

    async def aclose(self) -> None:
        await self._channel.aclose()


class Bare:
    """A container with our hardening, docker-py and the attach stream, and nothing else."""

    def __init__(self, image: str, runtime: str | None) -> None:
        self.name = f"limit: ten-line worker ({runtime or 'runc'})"
        self._sandbox = DockerSandbox(image=image, runtime=runtime, resources=RESOURCES)
        self._client = docker.from_env().api

    async def start(self, label: str) -> BareConversation:
        container, attached = await asyncio.to_thread(self._launch, label)
        remove = functools.partial(self._client.remove_container, container, force=True)
        return BareConversation(await DockerChannel.over(attached, functools.partial(asyncio.to_thread, remove)))

    def _launch(self, label: str) -> tuple[str, Any]:
        asked = self._sandbox._container(self._client, label) | {"entrypoint": ["python3", "-I", "-c", BARE_WORKER]}
        asked["host_config"]["AutoRemove"] = False
        container = self._client.create_container(**asked)["Id"]
        attached = _attach(self._client, container)
        self._client.start(container)
        return container, attached

    async def aclose(self) -> None:
        self._client.close()
        await self._sandbox.aclose()


class OurConversation:
    """A session of the project's own."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def run(self, code: str, seconds: float) -> str:
        execution = await self._session.run(code, seconds=seconds, bounds=WHOLE, printed=_ignore)
        if execution.status not in (Status.OK, Status.TIMEOUT) or execution.state_lost:
            raise RuntimeError(str(execution))
        return str(execution.output)

    async def aclose(self) -> None:
        await self._session.aclose()


class Ours:
    """The project's own sandbox."""

    def __init__(self, name: str, sandbox: Any) -> None:
        self.name = name
        self.sandbox = sandbox

    async def start(self, label: str) -> OurConversation:
        return OurConversation(await self.sandbox.start(label))

    @contextlib.asynccontextmanager
    async def pool(self, size: int) -> Any:
        """Give a function that starts from a filled pool."""
        pool = Pool(self.sandbox, size)
        pool.fill()
        await pool.filled()

        async def take() -> OurConversation:
            return OurConversation(await pool.take("benchmark"))

        try:
            yield take, pool.filled
        finally:
            await pool.aclose()

    async def aclose(self) -> None:
        await self.sandbox.aclose()


async def _ignore(_: str) -> None:
    pass


async def prepared(image: str, runtime: str | None) -> Ours:
    """Make ours on Docker. Raises CodeactError where the runtime is missing."""
    sandbox = DockerSandbox(image=image, runtime=runtime, resources=RESOURCES)
    try:
        await sandbox.prepare(lambda _: None)
    except BaseException:
        await sandbox.aclose()
        raise
    return Ours(f"ours on {sandbox.name}", sandbox)


async def process() -> Ours:
    """Make ours on a process."""
    sandbox = ProcessSandbox(resources=RESOURCES)
    await sandbox.prepare(lambda _: None)
    return Ours(f"ours on {sandbox.name}", sandbox)


def memory_of(label: str) -> tuple[int, int] | None:
    """Return a container's memory as its control group counts it: all, and anonymous memory alone."""
    client = docker.from_env().api
    try:
        for one in client.containers(filters={"label": f"{THREAD}={label}"}):
            stats = client.stats(one["Id"], stream=False)["memory_stats"]
            return stats["usage"], stats["stats"].get("rss", stats["stats"].get("anon", 0))
    finally:
        client.close()
    return None


Start = Callable[[], Awaitable[Conversation]]
