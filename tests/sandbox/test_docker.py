"""The Docker sandbox: its hardening, seen from inside, its life cycle, its image and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import docker
import pytest

from codeact_bot.errors import ImageUnavailable, ProtocolViolated, SandboxUnavailable
from codeact_bot.ports import Session
from codeact_bot.sandbox import image, owner
from codeact_bot.sandbox.attach import Demultiplexer
from codeact_bot.sandbox.docker import LABEL, OWNER, THREAD, DockerSandbox
from codeact_bot.types import Bounds, Execution, Preparing, Resources, Status

pytestmark = pytest.mark.needs("docker")

SMALL = Resources(memory=256 * 1024 * 1024, cpus=0.5, processes=40, open_files=100, disk=4 * 1024 * 1024)


@pytest.fixture
async def sandbox(docker_image: str) -> AsyncIterator[DockerSandbox]:
    made = DockerSandbox(image=docker_image, resources=SMALL)
    yield made
    await made.aclose()


@pytest.fixture
async def session(sandbox: DockerSandbox) -> AsyncIterator[Session]:
    started = await sandbox.start("test:thread")
    yield started
    await started.aclose()


async def ignore(_: str) -> None:
    """Take output and do nothing."""


async def run(session: Session, code: str, seconds: float = 60) -> Execution:
    return await session.run(code, seconds=seconds, bounds=Bounds(), printed=ignore)


async def value(session: Session, code: str) -> Any:
    execution = await run(session, f"import json\n{code}")
    assert execution.status is Status.OK, execution
    return json.loads(execution.output)


def containers(**labels: str) -> list[dict[str, Any]]:
    client = docker.from_env()
    try:
        filters = [f"{LABEL}=sandbox", *(f"{name}={wanted}" for name, wanted in labels.items())]
        return client.api.containers(all=True, filters={"label": filters})  # type: ignore[no-any-return]
    finally:
        client.close()


def mine() -> list[dict[str, Any]]:
    return [one for one in containers() if one["Labels"][OWNER] == owner.myself()]


async def gone(pick: Any, tries: int = 400) -> bool:
    for _ in range(tries):
        if not await asyncio.to_thread(pick):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_code_runs_without_privileges(session: Session) -> None:
    code = """
fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({name: fields[name].strip() for name in ("CapEff", "CapBnd", "CapPrm", "NoNewPrivs", "Seccomp", "Uid", "Gid")}))
"""
    status = await value(session, code)
    assert {status[name] for name in ("CapEff", "CapBnd", "CapPrm")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set((status["Uid"] + " " + status["Gid"]).split()) == {"1000"}


async def test_there_is_no_network_but_loopback(session: Session) -> None:
    assert await value(session, "import os; print(json.dumps(os.listdir('/sys/class/net')))") == ["lo"]


async def test_only_the_working_folder_and_tmp_can_be_written(session: Session) -> None:
    code = """
refused = []
for folder in ("/", "/etc", "/usr", "/var/tmp", "/root", "/proc/sys", "/work", "/tmp"):
    try:
        open(folder + "/probe", "w").close()
    except OSError:
        refused.append(folder)
print(json.dumps(refused))
"""
    assert await value(session, code) == ["/", "/etc", "/usr", "/var/tmp", "/root", "/proc/sys"]


async def test_the_hosts_environment_stays_outside(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    names = await value(session, "import os; print(json.dumps(sorted(os.environ)))")
    assert not [name for name in names if name.startswith(("CODEACT", "OPENAI", "DOCKER"))]
    assert "MPLCONFIGDIR" in names


async def test_a_full_disk_is_a_clean_error(session: Session) -> None:
    execution = await run(session, "open('big', 'wb').write(bytes(8 * 1024 * 1024))")
    assert execution.status is Status.ERROR
    assert execution.error is not None
    assert "No space left" in execution.error.message
    assert (await run(session, "import os; os.unlink('big'); 6 * 7")).value == "42"


async def test_memory_is_bounded_and_the_session_survives(session: Session) -> None:
    execution = await run(session, "hog = bytearray(512 * 1024 * 1024)\nhog[::4096] = b'x' * len(hog[::4096])")
    assert execution.status is Status.KILLED, execution
    assert execution.state_lost
    assert (await run(session, "6 * 7")).value == "42"


async def test_processes_are_bounded(session: Session) -> None:
    code = """
import subprocess
started = []
try:
    while len(started) < 100:
        started.append(subprocess.Popen(["sleep", "60"]))
except OSError:
    pass
for process in started:
    process.kill()
    process.wait()
print(json.dumps(len(started)))
"""
    assert 10 < await value(session, code) < SMALL.processes


async def test_open_files_are_bounded(session: Session) -> None:
    execution = await run(session, "files = [open('/dev/null') for _ in range(200)]")
    assert execution.error is not None
    assert "Too many open files" in execution.error.message


async def test_the_container_is_labelled_and_removed(sandbox: DockerSandbox) -> None:
    session = await sandbox.start("test:labels")
    (found,) = await asyncio.to_thread(lambda: containers(**{THREAD: "test:labels"}))
    assert found["Labels"][OWNER] == owner.myself()
    await session.aclose()
    await session.aclose()
    assert await asyncio.to_thread(lambda: containers(**{THREAD: "test:labels"})) == []


async def test_a_container_removed_mid_run_is_a_lost_execution(sandbox: DockerSandbox) -> None:
    session = await sandbox.start("test:removed")
    running = asyncio.create_task(run(session, "print('here', flush=True)\nimport time\ntime.sleep(100)"))
    (found,) = await asyncio.to_thread(lambda: containers(**{THREAD: "test:removed"}))
    await asyncio.to_thread(remove, found["Id"])
    execution = await running
    assert execution.status is Status.LOST
    assert not session.alive
    assert (await run(session, "1")).status is Status.LOST
    await session.aclose()


def remove(container: str) -> None:
    client = docker.from_env()
    try:
        client.api.remove_container(container, force=True)
    finally:
        client.close()


@pytest.mark.parametrize("yields", [0, 1, 2, 4, 8, 16, 64])
async def test_a_cancelled_start_leaves_nothing(docker_image: str, yields: int) -> None:
    sandbox = DockerSandbox(image=docker_image)
    await sandbox.prepare(lambda _: None)
    starting = asyncio.create_task(sandbox.start("test:cancelled"))
    for _ in range(yields):
        await asyncio.sleep(0.005)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await starting).aclose()
    await sandbox.aclose()
    assert await gone(mine)


CHILD = """
import asyncio, sys
from codeact_bot.sandbox.docker import DockerSandbox
async def main():
    sandbox = DockerSandbox(image=sys.argv[1])
    session = await sandbox.start("test:killed")
    print("started", flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


def killed(docker_image: str, *, stopped_engine_side: bool) -> str:
    """Kill -9 a process that owns a session; returns its owner mark."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, docker_image], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == b"started\n"
        mark = f"{owner.machine()}/{child.pid}/{owner.started(child.pid)}"
        if stopped_engine_side:
            (found,) = containers(**{OWNER: mark})
            client = docker.from_env()
            client.api.pause(found["Id"])
            client.close()
        os.kill(child.pid, signal.SIGKILL)
    return mark


async def test_a_killed_owners_container_ends_by_itself(docker_image: str) -> None:
    mark = await asyncio.to_thread(lambda: killed(docker_image, stopped_engine_side=False))
    assert await gone(lambda: containers(**{OWNER: mark}))


async def test_reap_removes_what_a_killed_owner_left_and_nothing_else(docker_image: str, sandbox: DockerSandbox) -> None:
    mark = await asyncio.to_thread(lambda: killed(docker_image, stopped_engine_side=True))
    session = await sandbox.start("test:living")
    assert len(await asyncio.to_thread(lambda: containers(**{OWNER: mark}))) == 1
    assert await sandbox.reap() >= 1
    assert await asyncio.to_thread(lambda: containers(**{OWNER: mark})) == []
    assert (await run(session, "6 * 7")).value == "42"
    await session.aclose()


async def test_the_containers_of_another_machine_are_left_alone(docker_image: str, sandbox: DockerSandbox) -> None:
    foreign = DockerSandbox(image=docker_image, owner="another-boot/1/1")
    session = await foreign.start("test:foreign")
    await sandbox.reap()
    assert (await run(session, "6 * 7")).value == "42"
    await session.aclose()
    await foreign.aclose()


@pytest.mark.needs("image")
async def test_the_image_is_built_with_progress_and_finds_its_fonts(docker_image: str) -> None:
    seen: list[Preparing] = []
    sandbox = DockerSandbox(base_image=docker_image)
    await asyncio.to_thread(forget_image, sandbox.image)
    await sandbox.prepare(seen.append)
    await asyncio.sleep(0)
    fractions = [one.fraction for one in seen if one.fraction is not None]
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 3
    session = await sandbox.start("test:image")
    assert "fontlist" in await value(session, "import matplotlib.font_manager, os; print(json.dumps(os.listdir('/tmp/matplotlib')[0]))")
    assert (await run(session, "import getpass; getpass.getuser()")).value == "'user'"
    await session.aclose()
    await sandbox.aclose()


def forget_image(tag: str) -> None:
    client = docker.from_env()
    try:
        if client.api.images(name=tag):
            client.api.remove_image(tag)
    finally:
        client.close()


def test_another_base_is_another_tag() -> None:
    assert image.tag_for("a") != image.tag_for("b")


async def test_an_image_without_python_says_so(docker_image: str) -> None:
    tag = "codeact-bot-test:empty"
    await asyncio.to_thread(import_empty_image, tag)
    sandbox = DockerSandbox(image=tag)
    with pytest.raises(ImageUnavailable, match="has no python3"):
        await sandbox.start("test:empty")
    await sandbox.aclose()
    await asyncio.to_thread(forget_image, tag)
    assert await gone(mine)


def import_empty_image(tag: str) -> None:
    client = docker.from_env()
    try:
        client.api.import_image_from_data(image.context().read(), *tag.split(":"))
    finally:
        client.close()


async def test_an_unknown_runtime_says_what_to_do(docker_image: str) -> None:
    sandbox = DockerSandbox(image=docker_image, runtime="nonsense")
    with pytest.raises(SandboxUnavailable, match=r"no runtime named nonsense.*daemon.json"):
        await sandbox.start("test:runtime")
    assert [check.ok for check in await sandbox.diagnose()] == [True, False, True, True]
    await sandbox.aclose()


async def test_no_engine_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    sandbox = DockerSandbox()
    with pytest.raises(SandboxUnavailable, match=r"Could not reach Docker at unix://.*none.sock. Is it running\?"):
        await sandbox.prepare(lambda _: None)
    (check,) = await sandbox.diagnose()
    assert check.ok is False
    assert "Is it running?" in check.remedy
    await sandbox.aclose()


@pytest.mark.needs("gvisor")
async def test_gvisor(docker_image: str) -> None:
    sandbox = DockerSandbox(image=docker_image, runtime="runsc")
    session = await sandbox.start("test:gvisor")
    assert "Starting gVisor" in (await run(session, "import subprocess\nsubprocess.run(['dmesg'])")).output
    assert sandbox.name == "docker (runsc)"
    await session.aclose()
    await sandbox.aclose()


def test_the_two_outputs_are_taken_apart_wherever_the_pieces_are_cut() -> None:
    stream = b"\1\0\0\0\0\0\0\3abc" + b"\2\0\0\0\0\0\0\4oops" + b"\1\0\0\0\0\0\0\0" + b"\1\0\0\0\0\0\0\2de"
    for size in range(1, len(stream)):
        taken = Demultiplexer()
        assert b"".join(taken.feed(stream[at : at + size]) for at in range(0, len(stream), size)) == b"abcde"
        assert taken.errors == b"oops"


def test_a_stream_of_another_kind_is_refused() -> None:
    with pytest.raises(ProtocolViolated):
        Demultiplexer().feed(b"HTTP/1.1 200 OK")
