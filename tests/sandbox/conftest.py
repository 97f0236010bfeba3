"""Every sandbox that the contract runs over, and a session in each that makes results short to write down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from codeact_bot.ports import Sandbox, Session
from codeact_bot.types import Bounds, Execution, Resources

RESOURCES = Resources(memory=512 * 1024 * 1024, processes=64, disk=64 * 1024 * 1024)
KINDS = {"docker": ("docker",), "gvisor": ("docker", "gvisor"), "bubblewrap": ("bubblewrap",), "process": ()}


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.needs(*parts) if parts else ()) for kind, parts in KINDS.items()])
def kind(request: pytest.FixtureRequest) -> str:
    """Name each sandbox in turn."""
    return str(request.param)


@pytest.fixture
async def sandbox(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """Prepare the sandbox of this kind."""
    made = make(kind, request)
    await made.prepare(lambda _: None)
    yield made
    await made.aclose()


@pytest.fixture
async def tried(sandbox: Sandbox) -> AsyncIterator[Tried]:
    """Start a session and close it in the end."""
    session = await sandbox.start("test")
    yield Tried(session)
    await session.aclose()


def make(kind: str, request: pytest.FixtureRequest) -> Sandbox:
    if kind in ("docker", "gvisor"):
        from codeact_bot.sandbox.docker import DockerSandbox

        image = request.getfixturevalue("docker_image")
        return DockerSandbox(image=image, resources=RESOURCES, runtime="runsc" if kind == "gvisor" else None)
    from codeact_bot.sandbox.process import ProcessSandbox

    if kind == "bubblewrap":
        return ProcessSandbox(resources=RESOURCES, isolation="bubblewrap")
    return ProcessSandbox(resources=RESOURCES, isolation="plain", python=python_for_all())


def python_for_all() -> str:
    """Return a Python that other users may run: a plain process sandbox of root can give up root only with such a one."""
    if not Path.home().stat().st_mode & 0o001 and Path(sys.executable).resolve().is_relative_to(Path.home()):
        return "/usr/bin/python3"
    return sys.executable


class Tried:
    """A session, with the arguments that tests seldom care about filled in."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.printed: list[str] = []

    async def run(self, code: str, *, seconds: float = 20, bounds: Bounds = Bounds()) -> Execution:
        """Run code, whatever comes of it; `printed` collects what was shown while it ran."""
        self.printed = []
        return await self.session.run(code, seconds=seconds, bounds=bounds, printed=self._print)

    async def output(self, code: str, **given: float) -> str:
        """Run code that must succeed and return its output."""
        execution = await self.run(code, **given)
        assert execution.error is None, execution.error
        return execution.output

    async def need(self, *modules: str) -> None:
        """Skip the test where the sandbox's Python lacks a module."""
        for module in modules:
            if (await self.run(f"import {module}", seconds=60)).error is not None:
                pytest.skip(f"the sandbox's Python has no {module}")

    async def _print(self, text: str) -> None:
        self.printed.append(text)


def command_lines(word: str) -> Sequence[str]:
    """Return the command lines of processes of this machine that hold `word`."""
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if word in line and "ps -A" not in line]


