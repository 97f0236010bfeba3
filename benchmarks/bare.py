"""The limit for saving state: a program in the same kind of sandbox that pickles and writes, and nothing else."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from typing import Any

import docker

from codeact_bot.ports import Channel
from codeact_bot.sandbox.attach import DockerChannel
from codeact_bot.sandbox.docker import DockerSandbox, _attach
from codeact_bot.sandbox.local import ProcessChannel
from codeact_bot.sandbox.process import ProcessSandbox

PICKLER = """
import json, pickle, sys, time
space = {}
exec(json.loads(sys.stdin.readline()), space)
kept = {name: value for name, value in space.items() if name == "df" or name[0] == "v"}
sys.stdout.buffer.write(b"ready")
sys.stdout.buffer.flush()
for line in sys.stdin:
    began = time.perf_counter()
    data = pickle.dumps(kept, protocol=5)
    spent = time.perf_counter() - began
    if line.strip() == "send":
        sys.stdout.buffer.write(len(data).to_bytes(8, "big") + data)
    else:
        sys.stdout.buffer.write((8).to_bytes(8, "big") + int(spent * 1e9).to_bytes(8, "big"))
    sys.stdout.buffer.flush()
"""


class Pickler:
    """A sandbox that holds the variables which some code made."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._received = bytearray()

    async def make(self, code: str) -> None:
        """Run the code."""
        await self._channel.send(json.dumps(code).encode() + b"\n")
        await self._take(5)

    async def pickle(self) -> float:
        """Milliseconds for pickling all variables, taken inside."""
        await self._channel.send(b"pickle\n")
        return int.from_bytes(await self._answer(), "big") / 1e6

    async def send(self) -> float:
        """Milliseconds until a pickle of all variables has arrived here."""
        began = time.perf_counter()
        await self._channel.send(b"send\n")
        await self._answer()
        return (time.perf_counter() - began) * 1000

    async def aclose(self) -> None:
        """Remove the sandbox."""
        await self._channel.aclose()

    async def _answer(self) -> bytes:
        return await self._take(int.from_bytes(await self._take(8), "big"))

    async def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            data = await self._channel.receive()
            if not data:
                raise RuntimeError("the program of the limit ended")
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken


async def bare(sandbox: DockerSandbox | ProcessSandbox) -> Pickler:
    """Start the program as the sandbox would start its worker."""
    return Pickler(await (_in_container(sandbox) if isinstance(sandbox, DockerSandbox) else _in_process(sandbox)))


async def _in_container(sandbox: DockerSandbox) -> Channel:
    client: Any = docker.from_env().api

    def launch() -> tuple[str, Any]:
        asked = sandbox._container(client, "benchmark") | {"entrypoint": ["python3", "-I", "-c", PICKLER]}
        asked["host_config"]["AutoRemove"] = False
        container = client.create_container(**asked)["Id"]
        attached = _attach(client, container)
        client.start(container)
        return container, attached

    def remove(container: str) -> None:
        client.remove_container(container, force=True)
        client.close()

    container, attached = await asyncio.to_thread(launch)
    return await DockerChannel.over(attached, functools.partial(asyncio.to_thread, remove, container))


async def _in_process(sandbox: ProcessSandbox) -> Channel:
    ground: Any = sandbox._ground
    environment = sandbox._environment(None)
    program = [sandbox._python, "-I", "-c", PICKLER]
    command = [*ground.wrap.command(ground.folders, environment, sandbox._resources.disk), *program] if ground.wrap else program
    return await ProcessChannel.start(command, environment, None, None)
