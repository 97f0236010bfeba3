"""A private MongoDB for the tests: mongods as a replica set, each of which can be stopped, killed and started again on its data."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from tests import parts

FILES = "file_manager=(close_idle_time=10,close_scan_interval=5,close_handle_minimum=100)"
"""Each test has a database of its own: files that no test uses any more are closed, or all tests together have more open than a process may."""
TESTING = ["--setParameter", "enableTestCommands=1", "--setParameter", "wiredTigerSessionCloseIdleTimeSecs=10", "--wiredTigerEngineConfigString", FILES]
"""Lets a test have the server fail a command of its choice."""
MEMORY, ROOM = Path("/dev/shm"), 4 << 30
"""A file system in memory, and the bytes that have to be free in it; the tests' databases together take a tenth of that."""
PATIENCE = 120.0
"""Seconds that a mongod may take to become primary on a busy machine."""


class Member:
    """One mongod with its data in one folder."""

    def __init__(self, folder: Path) -> None:
        """Choose a free port."""
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on its data; it may take a while to answer."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(_command(self.folder, self.port), stdout=log, stderr=log)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, if it runs, and wait until it has gone."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
        self.process = None

    def died(self) -> bool:
        """Whether it ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def ask(self, command: str, value: object = 1, **arguments: object) -> dict[str, object]:
        """Have it run an admin command. Raises PyMongoError."""
        client: pymongo.MongoClient[dict[str, object]]
        with pymongo.MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=500) as client:
            return client.admin.command(command, value, **arguments)


class ReplicaSet:
    """Servers that elect a primary within about a second."""

    def __init__(self, servers: Sequence[Member]) -> None:
        """Take servers that have not been started."""
        self.servers = servers
        hosts = [f"127.0.0.1:{server.port}" for server in servers]
        self.url = f"mongodb://{','.join(hosts)}/?replicaSet=rs0"
        settings = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        self._config: dict[str, object] = {"_id": "rs0", "members": members, "settings": settings}

    def start(self) -> None:
        """Start the servers that do not run, and wait until one is primary."""
        for server in self.servers:
            if server.process is None:
                server.start()
        self.primary()

    def primary(self) -> Member:
        """Wait until a server is primary, and return it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for server in self.servers:
                if server.died():
                    break
                if server.process is not None and self._leads(server):
                    return server
            time.sleep(0.1)
        logs = [(server.folder / "log").read_text(errors="replace")[-3000:] for server in self.servers]
        raise RuntimeError("no mongod became primary:\n" + "\n".join(logs))

    def _leads(self, server: Member) -> bool:
        try:
            hello = server.ask("hello")
            if "setName" not in hello and server is self.servers[0]:
                server.ask("replSetInitiate", self._config)
            return bool(hello["isWritablePrimary"])
        except PyMongoError:
            return False

    def step_down(self) -> None:
        """Make the primary give up being that; returns when there is one again, the same where there is no other."""
        self.primary().ask("replSetStepDown", 1, secondaryCatchUpPeriodSecs=0, force=True)
        self.primary()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End all servers with a signal."""
        for server in self.servers:
            server.end(number)


class Server(ReplicaSet):
    """A replica set of one server."""

    def __init__(self, folder: Path) -> None:
        """Keep its data in this folder."""
        super().__init__([Member(folder)])


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a mongod with its data in `folder`, yield its address, stop it. CODEACT_TEST_MONGO names one to use instead."""
    given = os.environ.get("CODEACT_TEST_MONGO")
    if given:
        yield given
        return
    with own(folder) as servers:
        yield servers.url


@contextmanager
def own(folder: Path, count: int = 1) -> Iterator[ReplicaSet]:
    """Start so many mongods with their data below `folder`, and end them."""
    folders = [folder / str(number) for number in range(count)]
    for each in folders:
        each.mkdir()
    servers = ReplicaSet([Member(each) for each in folders])
    try:
        servers.start()
        yield servers
    finally:
        servers.stop(signal.SIGKILL if count > 1 else signal.SIGTERM)


@contextmanager
def fast_folder(other: Path) -> Iterator[Path]:
    """Yield a folder in memory where there is room, else the other one: most of a test's time goes to making its database's files."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield other
        return
    with tempfile.TemporaryDirectory(prefix="codeact-mongo-", dir=MEMORY) as folder:
        yield Path(folder)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(folder: Path, port: int) -> list[str]:
    binary = parts.mongod()
    assert binary is not None
    where = ["--dbpath", str(folder), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    return [binary, *where, "--replSet", "rs0", "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--quiet", *TESTING]
