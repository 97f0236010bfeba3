"""What happens when a disk is full: the sandbox's working folder, and MongoDB's own, on a real file system of a few megabytes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact_bot.errors import StoreUnavailable
from codeact_bot.sandbox.docker import DockerSandbox
from codeact_bot.store import mongo
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import File, Resources, Status, ThreadId
from tests import parts
from tests.replica_set import Member, ReplicaSet
from tests.test_service import ONE, Chat, code, message, working

ROOM = 512 * 1024 * 1024
FILL = "kept = 41\nwith open('full.bin', 'wb') as file:\n    while True: file.write(bytes(1_000_000))"
LOOK = "import os\nos.remove('full.bin')\nopen('small.txt', 'w').write('fits')\nprint(kept + 1)"


@pytest.fixture
async def chat() -> Chat:
    return Chat()


@pytest.mark.needs("docker", "image")
async def test_a_full_working_folder_is_an_error_of_the_code_and_costs_nothing_else(chat: Chat, docker_image: str) -> None:
    store = MemoryStore()
    sandbox = DockerSandbox(image=docker_image, resources=Resources(disk=8 * 1024 * 1024))
    async with working(store, chat, [code(FILL), code(LOOK), "Done."], sandbox=sandbox) as worker:
        await worker.accept(message("a"))
        await chat.ended()
    (turn,) = await store.turns(ONE)
    full, look = [step.execution for step in turn.steps if step.execution]
    assert full.status is Status.ERROR
    assert full.error is not None
    assert (full.error.type, "No space left on device" in full.error.message) == ("OSError", True)
    assert "No space left on device" in turn.steps[0].observation
    assert (look.status, look.output) == (Status.OK, "42\n"), "the variables are there, and a folder with room takes files again"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that is soon full."""
    if parts.mongod() is None:
        pytest.skip("needs a mongod of its own")
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", place], capture_output=True, check=False).returncode:
        pytest.skip("needs root that may mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.needs("mongo")
async def test_a_full_disk_of_mongodb_loses_nothing_that_was_acknowledged(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MongoDB 6 refuses what it cannot write, or ends itself; it starts again once there is room."""
    monkeypatch.setitem(mongo.TIMES, "serverSelectionTimeoutMS", 300)
    folder = small_disk / "data"
    folder.mkdir()
    member = Member(folder)
    servers = ReplicaSet([member])
    await asyncio.to_thread(servers.start)
    store = await MongoStore.open(servers.url)
    try:
        filler, taken = small_disk / "filler", -1
        with filler.open("wb") as file:
            file.write(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - 24 * 1024 * 1024))
        with pytest.raises(StoreUnavailable) as caught:  # noqa: PT012
            while taken < 200:
                data = File.of("data.bin", os.urandom(1_000_000))
                await store.push(message(f"m{taken + 1}", ThreadId(f"test:{taken + 1}"), files=(data,)))
                taken += 1
        assert 0 < taken < 200
        assert "is full. Make room on it" in str(caught.value) or "Is it running" in str(caught.value)
        filler.unlink()
        await asyncio.to_thread(servers.stop, signal.SIGKILL)
        await asyncio.to_thread(servers.start)
        assert [len(await store.pending(ThreadId(f"test:{number}"))) for number in range(taken + 1)] == [1] * (taken + 1)
        assert await store.push(message("later", ThreadId("test:later"))) is True
    finally:
        await store.aclose()
        await asyncio.to_thread(servers.stop)
