"""What is particular to sandboxes that are processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from codeact_bot.errors import SandboxUnavailable
from codeact_bot.sandbox.process import Isolation, ProcessSandbox
from codeact_bot.types import Bounds, Resources, Status
from tests.sandbox.conftest import Tried, command_lines, python_for_all

ISOLATIONS = [pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")), "plain"]
HOST = """
import asyncio, os, signal, sys
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.types import Bounds

async def ignore(text): pass

async def main():
    session = await ProcessSandbox(isolation=sys.argv[1], python=sys.argv[2]).start("test")
    code = "import os, subprocess\\np = subprocess.Popen(['sleep', '" + sys.argv[3] + "'], start_new_session=True)\\nos.getcwd()"
    print((await session.run(code, seconds=20, bounds=Bounds(), printed=ignore)).value, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
"""Starts a sandbox with a process of its own in it, and dies without a chance to clean up."""


def process_sandbox(isolation: Isolation, resources: Resources | None = None) -> ProcessSandbox:
    python = sys.executable if isolation == "bubblewrap" else python_for_all()
    return ProcessSandbox(isolation=isolation, python=python, resources=resources)


async def gone(word: str) -> bool:
    """Wait until no process has `word` in its command line."""
    for _ in range(200):
        if not command_lines(word):
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.parametrize("isolation", ISOLATIONS)
async def test_nothing_outlives_its_session(isolation: Isolation) -> None:
    session = await process_sandbox(isolation).start("test")
    word = f"86{os.getpid()}.{id(session)}"
    tried = Tried(session)
    await tried.run(f"import subprocess\np = subprocess.Popen(['sleep', '{word}'], start_new_session=True)")
    assert command_lines(word)
    await session.aclose()
    assert await gone(word)


@pytest.mark.parametrize("isolation", ISOLATIONS)
async def test_nothing_outlives_a_killed_owner(isolation: Isolation) -> None:
    sandbox = process_sandbox(isolation)
    word = f"87{os.getpid()}.{id(sandbox)}"
    python = sys.executable if isolation == "bubblewrap" else python_for_all()
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, isolation, python, word, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    out, _ = await host.communicate()
    assert await gone(word)
    if isolation == "plain":
        folder = Path(out.decode().strip().strip("'"))
        assert folder.exists()
        assert await sandbox.reap() >= 1
        assert not folder.exists()


@pytest.mark.needs("bubblewrap")
async def test_reap_ends_what_a_kill_left_of_a_start_and_code_does_not_see_the_mark() -> None:
    sandbox = process_sandbox("bubblewrap")
    session = await sandbox.start("test")
    assert (await Tried(session).run("import os\n'CODEACT_OWNER' in os.environ")).value == "False"
    python = "import os; from codeact_bot.sandbox import owner; print(owner.myself())"
    dead = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]).stdout.strip()
    left = await asyncio.create_subprocess_exec("sleep", "600", env={"CODEACT_OWNER": dead})
    assert await sandbox.reap() >= 1
    assert await left.wait() == -signal.SIGKILL
    assert (await Tried(session).run("1 + 1")).value == "2", "the living are spared"
    await session.aclose()


@pytest.mark.needs("bubblewrap")
async def test_a_start_or_probe_that_is_cancelled_at_any_moment_ends_and_leaves_nothing() -> None:
    """Killed alone, bubblewrap's outer half leaves an inner one that waits for ever and holds the pipes open."""
    ready = process_sandbox("bubblewrap")
    await ready.prepare(lambda _: None)
    for number in range(120):
        sandbox = ready if number % 2 else process_sandbox("bubblewrap")
        starting = asyncio.create_task(sandbox.start("test"))
        await asyncio.sleep(number / 6000)
        starting.cancel()
        async with asyncio.timeout(60):
            with contextlib.suppress(asyncio.CancelledError):
                await (await starting).aclose()
    async with asyncio.timeout(20):
        while left := [line for line in command_lines("bwrap") if sys.prefix in line]:
            await asyncio.sleep(0.05)
    assert not left


async def test_reap_spares_the_living() -> None:
    sandbox = process_sandbox("plain")
    session = await sandbox.start("test")
    await sandbox.reap()
    tried = Tried(session)
    folder = Path(((await tried.run("import os\nos.getcwd()")).value or "").strip("'"))
    assert folder.stat().st_mode & 0o777 == 0o700
    await session.aclose()
    assert not folder.exists()
    assert not folder.with_name(folder.name + ".owner").exists()


async def test_names_and_warnings_say_what_runs() -> None:
    sandbox = process_sandbox("plain")
    await sandbox.prepare(lambda _: None)
    assert sandbox.name == "process (plain)"
    assert "network" in sandbox.warning
    assert "Install bubblewrap or Docker" in sandbox.warning


@pytest.mark.needs("bubblewrap")
async def test_bubblewrap_is_chosen_where_it_works() -> None:
    sandbox = ProcessSandbox()
    await sandbox.prepare(lambda _: None)
    assert sandbox.name == "process (bubblewrap)"
    assert "Docker" in sandbox.warning


@pytest.mark.needs("bubblewrap")
async def test_bubblewrap_hides_the_hosts_files() -> None:
    with tempfile.NamedTemporaryFile("w", dir=Path.home()) as secret:
        secret.write("secret")
        secret.flush()
        session = await process_sandbox("bubblewrap").start("test")
        tried = Tried(session)
        for path in (secret.name, "/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/1/root/etc/shadow"):
            error = (await tried.run(f"open({path!r}).read()")).error
            assert error is not None, path
        assert (await tried.run("import os\n[p for p in os.listdir('/proc') if p.isdigit()]")).value == "['1', '2']"
        await session.aclose()


@pytest.mark.needs("bubblewrap")
async def test_bubblewrap_bounds_the_working_folder() -> None:
    session = await process_sandbox("bubblewrap", Resources(disk=4 * 1024 * 1024)).start("test")
    tried = Tried(session)
    code = "for n in range(3):\n    with open(f'{n}', 'wb') as file:\n        file.write(bytes(2_000_000))"
    error = (await tried.run(code)).error
    assert error is not None
    assert "No space left" in error.message
    await session.aclose()


async def test_python_that_is_none_is_named() -> None:
    with pytest.raises(SandboxUnavailable, match="/does/not/exist"):
        await ProcessSandbox(python="/does/not/exist").start("test")


async def test_sessions_do_not_see_each_other() -> None:
    sandbox = process_sandbox("plain")
    first, second = await asyncio.gather(sandbox.start("one"), sandbox.start("two"))
    folder = (await Tried(first).run("import os\nopen('secret', 'w').write('x')\nos.getcwd()")).value
    execution = await Tried(second).run(f"import os\nos.listdir({folder})")
    if os.geteuid() == 0:
        assert execution.error is not None
        assert execution.error.type == "PermissionError"
    assert (await Tried(second).run("os.listdir('.')")).value == "['.tmp']"
    await asyncio.gather(first.aclose(), second.aclose())


async def test_output_does_not_pile_up_while_nobody_listens() -> None:
    """A listener that is slow slows the code down; neither side hoards."""
    session = await process_sandbox("plain").start("test")
    go = asyncio.Event()

    async def printed(text: str) -> None:
        await go.wait()

    code = "import time\nfor n in range(200):\n    print('x' * 1_000_000)"
    running = asyncio.create_task(session.run(code, seconds=60, bounds=Bounds(output=500_000_000), printed=printed))
    await asyncio.sleep(1)
    before = memory()
    await asyncio.sleep(1)
    assert memory() - before < 20_000_000
    go.set()
    execution = await running
    assert (execution.status, len(execution.output)) == (Status.OK, 200_000_200)
    await session.aclose()


def memory() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.needs("bubblewrap")
async def test_libraries_find_their_files_in_etc_under_bubblewrap() -> None:
    sandbox = ProcessSandbox(isolation="bubblewrap")
    session = await sandbox.start("test")
    try:
        code = "import os\nprint(os.access('/etc', os.X_OK), os.access('/etc/ssl', os.X_OK), os.path.exists('/etc/shadow'), os.listdir('/etc'))"
        assert (await Tried(session).output(code)).startswith("True True False")
    finally:
        await session.aclose()
        await sandbox.aclose()
