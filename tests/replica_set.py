"""A private MongoDB for the tests: one mongod as a replica set of one node."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from tests import parts

PATIENCE = 120.0
"""Seconds that a mongod may take to become primary on a busy machine."""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a mongod with its data in `folder`, yield its address, stop it. CODEACT_TEST_MONGO names one to use instead."""
    given = os.environ.get("CODEACT_TEST_MONGO")
    if given:
        yield given
        return
    server = Server(folder)
    server.start()
    try:
        yield server.url
    finally:
        server.stop(signal.SIGTERM)


class Server:
    """A mongod that can be stopped and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"mongodb://127.0.0.1:{self._port}/?replicaSet=rs0"

    def start(self) -> None:
        """Start it and wait until it takes writes."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(_command(self._folder, self._port), stdout=log, stderr=log)
        try:
            _await_primary(self._process, self._port, self._folder)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, number: int) -> None:
        """End it with a signal."""
        self._process.send_signal(number)
        self._process.wait()


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(folder: Path, port: int) -> list[str]:
    binary = parts.mongod()
    assert binary is not None
    where = ["--dbpath", str(folder), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    return [binary, *where, "--replSet", "rs0", "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--quiet"]


def _await_primary(server: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    members: dict[str, object] = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500) as client:
        while not _is_primary(client, members):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mongod did not become primary:\n{(folder / 'log').read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)


def _is_primary(client: pymongo.MongoClient[dict[str, object]], members: dict[str, object]) -> bool:
    try:
        hello = client.admin.command("hello")
        if "setName" not in hello:
            client.admin.command("replSetInitiate", members)
        return bool(hello["isWritablePrimary"])
    except PyMongoError:
        return False
