"""Other projects' sandboxes, as subjects: `python -m benchmarks.peers NAME FIGURE` measures one figure of one of them, in their own environment.

Each figure is a process of its own, because some of these hang for good; `benchmarks.rivals` starts them with a time limit.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import docker

from benchmarks import figures
from benchmarks.subjects import Conversation, Subject

IMAGE = "codeact-peers"
"""Made by benchmarks/with-peers: the base image, and Jupyter's kernel gateway in it."""


class Threaded:
    """A conversation whose library blocks: `execute` and `close` run in a thread."""

    def __init__(self, execute: Callable[[str, float], str], close: Callable[[], Any]) -> None:
        self._execute, self._close = execute, close

    async def run(self, code: str, seconds: float) -> str:
        return await asyncio.to_thread(self._execute, code, seconds)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)


class Blocking:
    """A subject whose library blocks."""

    def __init__(self, name: str, opened: Callable[[], Threaded], close: Callable[[], Any] = lambda: None) -> None:
        self.name, self._opened, self._close = name, opened, close

    async def start(self, label: str) -> Conversation:
        return await asyncio.to_thread(self._opened)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)


def smolagents() -> Subject:
    """DockerExecutor, which always uses port 8888."""
    from smolagents.monitoring import AgentLogger, LogLevel
    from smolagents.remote_executors import DockerExecutor

    def opened() -> Threaded:
        executor = DockerExecutor([], AgentLogger(level=LogLevel.OFF), image_name=IMAGE, build_new_image=False)
        remove = lambda: executor.container.remove(force=True)  # noqa: E731
        return Threaded(lambda code, _: executor.run_code_raise_errors(code).logs, remove)

    return Blocking("smolagents DockerExecutor", opened)


class AutogenConversation:
    """One of AutoGen's executors."""

    def __init__(self, executor: Any, close: Callable[[], Awaitable[Any]]) -> None:
        self._executor, self._close = executor, close

    async def run(self, code: str, seconds: float) -> str:
        from autogen_core import CancellationToken
        from autogen_core.code_executor import CodeBlock

        self._executor._timeout = seconds
        return str((await self._executor.execute_code_blocks([CodeBlock(code=code, language="python")], CancellationToken())).output)

    async def aclose(self) -> None:
        await self._close()


class AutogenJupyter:
    """DockerJupyterCodeExecutor on a DockerJupyterServer of its own."""

    name = "autogen-ext DockerJupyterCodeExecutor"

    async def start(self, label: str) -> Conversation:
        from autogen_ext.code_executors.docker_jupyter import DockerJupyterCodeExecutor, DockerJupyterServer

        server = await asyncio.to_thread(lambda: DockerJupyterServer(custom_image_name=IMAGE, work_dir="/tmp"))
        executor = DockerJupyterCodeExecutor(server)
        await executor.start()
        remove = docker.from_env().containers.get(server._container_id).remove
        return AutogenConversation(executor, lambda: asyncio.to_thread(remove, force=True))

    async def aclose(self) -> None:
        pass


class AutogenCommandLine:
    """DockerCommandLineCodeExecutor."""

    name = "autogen-ext DockerCommandLineCodeExecutor"

    async def start(self, label: str) -> Conversation:
        from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor

        executor = DockerCommandLineCodeExecutor(image=IMAGE, work_dir=tempfile.mkdtemp())
        await executor.start()
        return AutogenConversation(executor, lambda: asyncio.to_thread(executor._container.remove, force=True))

    async def aclose(self) -> None:
        pass


def llm_sandbox(kind: str) -> Subject:
    """SandboxSession, from a pool or not, or InteractiveSandboxSession; the set-up that needs a network is left out."""
    from llm_sandbox import InteractiveSandboxSession, SandboxSession
    from llm_sandbox.pool import PoolConfig, create_pool_manager

    given: dict[str, Any] = {"lang": "python", "image": IMAGE, "skip_environment_setup": True}
    pool = None
    if kind == "pool":
        filled = PoolConfig(max_pool_size=20, min_pool_size=20, enable_prewarming=True)
        pool = create_pool_manager(backend="docker", config=filled, **given)
        given = {"lang": "python", "pool": pool}
        _await_containers(20)

    def opened() -> Threaded:
        session = (InteractiveSandboxSession if kind == "interactive" else SandboxSession)(keep_template=True, **given)
        session.open()
        return Threaded(lambda code, seconds: str(session.run(code, timeout=seconds).stdout), session.close)

    return Blocking(f"llm-sandbox, {kind}", opened, pool.close if pool else lambda: None)


def _await_containers(count: int) -> None:
    """Wait until so many run, a minute at most."""
    client = docker.from_env().api
    for _ in range(600):
        if len(client.containers(quiet=True)) >= count:
            break
        time.sleep(0.1)
    client.close()


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "smolagents": smolagents,
    "autogen-jupyter": AutogenJupyter,
    "autogen-command": AutogenCommandLine,
    "llm-plain": lambda: llm_sandbox("plain"),
    "llm-pool": lambda: llm_sandbox("pool"),
    "llm-interactive": lambda: llm_sandbox("interactive"),
}


async def cold(subject: Subject) -> str:
    """Median of three starts."""
    times = [await figures.first_result(lambda: subject.start("peer")) for _ in range(3)]
    return f"{statistics.median(times):,.0f} ms"


async def warm(subject: Subject) -> str:
    """Median and 95th percentile of 200 executions, and how many outputs were lost."""
    conversation = await _opened(subject)
    times, lost = await figures.warm(conversation, 200)
    await conversation.aclose()
    return f"{statistics.median(times):.0f} / {statistics.quantiles(times, n=20)[-1]:.0f} ms|{lost} of 200"


async def memory(subject: Subject) -> str:
    """What the engine's containers use; there is only this one."""
    conversation = await _opened(subject)
    client = docker.from_env().api
    used = [client.stats(one["Id"], stream=False)["memory_stats"].get("usage", 0) for one in client.containers()]
    client.close()
    await conversation.aclose()
    return f"{max(used) / 2**20:.1f} MiB"


async def printed(subject: Subject) -> str:
    """Time until 10 MB of output are here, or how much came."""
    conversation = await _opened(subject)
    try:
        return f"{await figures.ten_megabytes(conversation):.0f} ms"
    finally:
        await conversation.aclose()


async def loop(subject: Subject) -> str:
    """Time until an endless loop with a limit of 2 s is over, and whether variables survived."""
    conversation = await _opened(subject)
    await conversation.run("kept = 42", 10)
    began = asyncio.get_running_loop().time()
    try:
        await conversation.run("while True:\n    pass", 2)
    except Exception as error:
        print(f"the loop ended with {error!r:.200}", file=sys.stderr)
    spent = asyncio.get_running_loop().time() - began
    try:
        kept = await conversation.run("print(kept)", 10) == "42\n"
        state = "kept" if kept else "lost"
    except Exception as error:
        state = f"lost ({type(error).__name__})"
    await conversation.aclose()
    return f"{spent:.2f} s, state {state}"


async def crowd(subject: Subject) -> str:
    """20 conversations at once."""
    return f"{await figures.crowd(subject):.0f} s"


async def _opened(subject: Subject) -> Conversation:
    conversation = await subject.start("peer")
    await conversation.run("print(1)", 10)
    return conversation


FIGURES = {"cold": cold, "warm": warm, "memory": memory, "printed": printed, "loop": loop, "crowd": crowd}


async def main(name: str, figure: str) -> None:
    """Measure and print a line of JSON; ends at once, whatever the libraries left running."""
    try:
        found = await FIGURES[figure](SUBJECTS[name]())
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        found = "fails"
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
