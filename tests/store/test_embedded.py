"""The private MongoDB, with real processes: shared, stopped with its last user, recovered after kills."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from codeact_bot.errors import StoreUnavailable
from codeact_bot.store.embedded import EmbeddedMongo
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Preparing
from tests.store.make import ANY, MINUTE, ONE, message

USER = """
import asyncio, sys
from pathlib import Path
from codeact_bot.store.embedded import EmbeddedMongo
async def main():
    async with EmbeddedMongo(Path(sys.argv[1]), lambda news: None) as url:
        print(url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""

pytestmark = pytest.mark.needs("mongo")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder with a space in its name; whatever server is left in it is killed."""
    folder = tmp_path / "user data" / "mongodb"
    yield folder
    pid = server_of(folder)
    if pid:
        os.kill(pid, signal.SIGKILL)


def server_of(folder: Path) -> int | None:
    """The process id of the mongod that runs on this folder's data."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(folder / "data") in arguments and b"State:\tZ" not in (entry / "status").read_bytes():
                return int(entry.name)
    return None


def gone(folder: Path) -> bool:
    """Whether the mongod of this folder ends within a few seconds; its locks are free a moment before it is gone."""
    until = time.monotonic() + 5
    while server_of(folder) is not None and time.monotonic() < until:
        time.sleep(0.01)
    return server_of(folder) is None


class User:
    """Another process that uses the server."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url

    @classmethod
    async def start(cls, folder: Path) -> User:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", USER, str(folder), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        return cls(process, (await process.stdout.readline()).decode().strip())

    async def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()

    async def killed(self) -> None:
        self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[MongoStore]:
    """A store on the private server of a folder."""
    async with EmbeddedMongo(folder, lambda news: None) as url:
        store = await MongoStore.open(url)
        yield store
        await store.aclose()


async def test_it_is_started_kept_and_stopped_with_its_last_user(folder: Path) -> None:
    news: list[Preparing] = []
    async with EmbeddedMongo(folder, news.append) as url:
        server = server_of(folder)
        assert server is not None
        async with EmbeddedMongo(folder, news.append) as again:
            assert (again, server_of(folder)) == (url, server)
        assert server_of(folder) == server
    assert gone(folder)
    assert [each.fraction for each in news] == [None, 1.0]


async def test_data_outlives_the_server(folder: Path) -> None:
    for expected in (True, False):
        async with opened(folder) as store:
            assert await store.push(message()) is expected


async def test_processes_share_one_server_until_the_last_ends(folder: Path) -> None:
    users = [await User.start(folder) for _ in range(2)]
    server = server_of(folder)
    assert users[0].url == users[1].url
    await users[0].end()
    assert server_of(folder) == server is not None
    await users[1].end()
    assert gone(folder)


async def test_processes_that_start_at_the_same_moment_get_the_same_server(folder: Path) -> None:
    users = await asyncio.gather(*(User.start(folder) for _ in range(4)))
    assert len({user.url for user in users}) == 1
    assert users[0].url.startswith("mongodb://")
    await asyncio.gather(*(user.end() for user in users))
    assert gone(folder)


async def test_a_killed_user_does_not_count(folder: Path) -> None:
    killed, other = await User.start(folder), await User.start(folder)
    await killed.killed()
    assert server_of(folder) is not None
    await other.end()
    assert gone(folder)


async def test_a_server_left_by_killed_users_is_taken_over(folder: Path) -> None:
    user = await User.start(folder)
    server = server_of(folder)
    await user.killed()
    async with opened(folder) as store:
        assert server_of(folder) == server
        assert await store.push(message())
    assert gone(folder)


async def test_a_killed_server_is_started_anew_with_its_data(folder: Path) -> None:
    async with opened(folder) as store:
        await store.push(message())
        os.kill(server_of(folder) or 0, signal.SIGKILL)
    async with opened(folder) as store:
        assert [each.id for each in await store.pending(ONE)] == ["e1"]
        assert await store.claim("w", MINUTE, ANY) is not None


async def test_user_and_server_killed_together_leave_nothing_in_the_way(folder: Path) -> None:
    user = await User.start(folder)
    server = server_of(folder)
    await user.killed()
    os.kill(server or 0, signal.SIGKILL)
    async with opened(folder) as store:
        assert await store.push(message())
        assert server_of(folder) not in (None, server)


async def test_a_foreign_process_with_the_old_id_is_left_alone(folder: Path) -> None:
    async with EmbeddedMongo(folder, lambda news: None):
        pass
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    (folder / "data" / "mongod.lock").write_text(f"{bystander.pid}\n")
    async with opened(folder) as store:
        assert await store.push(message())
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_control_c_in_the_terminal_does_not_reach_the_server(folder: Path) -> None:
    user = await User.start(folder)
    server = server_of(folder)
    os.killpg(user.process.pid, signal.SIGINT)
    await user.end()
    async with EmbeddedMongo(folder, lambda news: None):
        assert server is not None
    assert gone(folder)


async def test_a_cancelled_start_leaves_no_server(folder: Path) -> None:
    entering = asyncio.ensure_future(EmbeddedMongo(folder, lambda news: None).__aenter__())
    await asyncio.sleep(0.1)
    entering.cancel()
    await asyncio.wait([entering])
    assert gone(folder)


async def test_a_moved_folder_works_at_its_new_place(folder: Path) -> None:
    async with opened(folder) as store:
        await store.push(message())
    moved = folder.rename(folder.with_name("elsewhere"))
    async with opened(moved) as store:
        assert not await store.push(message())
    assert gone(moved)


async def test_a_path_too_long_for_a_socket_is_no_obstacle(folder: Path) -> None:
    deep = folder / ("long" * 30)
    async with opened(deep) as store:
        assert await store.push(message())
    assert gone(deep)


def _sockets(process: int) -> set[str]:
    """The sockets a process holds, by the name under which /proc lists them; what it closes meanwhile is passed over."""
    held = set()
    for each in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(each))
    return held


async def test_only_the_owner_can_reach_it(folder: Path) -> None:
    async with EmbeddedMongo(folder, lambda news: None):
        server = server_of(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "mongod.sock").stat().st_mode & 0o077 == 0
        assert server is not None
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        held = _sockets(server)
        assert held
        assert not [each for each in listening if each[3] == "0A" and f"socket:[{each[9]}]" in held]


async def test_without_any_mongod_the_remedies_are_named(folder: Path, tmp_path: Path) -> None:
    """A process that finds neither a program on PATH nor the wheel."""
    empty = tmp_path / "empty"
    empty.mkdir()
    hidden = "import sys, importlib.util as u; find = u.find_spec; u.find_spec = lambda n, p=None: None if n == 'fiftyone' else find(n, p)\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", hidden + USER, str(folder), env={"PATH": str(empty)}, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    last = errors.decode().splitlines()[-1]
    assert "StoreUnavailable: A private MongoDB could not be started. There is no mongod" in last
    assert all(remedy in last for remedy in ("mongod on PATH", "codeact-bot[embedded]", "start Docker", "CODEACT_MONGO_URL"))


async def test_a_server_that_cannot_start_is_quoted(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "WiredTiger").write_text("no database")
    (folder / "data" / "WiredTiger.turtle").write_text("no database")
    (folder / "data" / "storage.bson").write_bytes(b"junk")
    with pytest.raises(StoreUnavailable, match="did not start: it ended with status") as caught:
        async with EmbeddedMongo(folder, lambda news: None):
            pass
    assert "mongod.log ends with:" in str(caught.value)
    assert gone(folder)


async def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="Choose another folder"):
        async with EmbeddedMongo(tmp_path / "file" / "mongodb", lambda news: None):
            pass
