"""A Docker engine of a test's own, to be stopped, killed and started again, with an image that holds little more than Python."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException

from tests import parts

IMAGE = "codeact-small:test"
PATIENCE = 60.0
"""Seconds that an engine may take to start or to stop on a busy machine."""
PYTHON = r"""
cd /
libs=$(ldd usr/bin/python3 usr/lib/python3.*/lib-dynload/*.so | grep -o "=> /[^ ]*" | cut -c4- | sort -u)
files=$(for lib in $libs; do real=$(readlink -f $lib); echo ${real%/*}/${lib##*/}; echo $real; done | cut -c2- | sort -u)
tar -cf - --exclude="config-*" --exclude=__pycache__ usr/bin/python3* usr/lib/python3.* usr/lib/python3/dist-packages/cloudpickle lib lib64 usr/lib64 usr/lib/*/ld-linux* $files
"""
"""Writes the files of the tests' image that Python needs, as an archive."""


class Engine:
    """One dockerd with everything that it keeps in one folder."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, whose path has to be short: a Unix socket lies in it."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"unix://{folder}/docker.sock"

    def start(self) -> None:
        """Start it, on what it kept before, and wait until it answers."""
        where = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
        given = {name: str(self._folder / place) for name, place in where.items()} | {"hosts": [self.address], "bridge": "none", "iptables": False}
        (self._folder / "daemon.json").write_text(json.dumps(given))
        with (self._folder / "log").open("ab") as log:
            command = ["dockerd", "--config-file", str(self._folder / "daemon.json")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start:\n{(self._folder / 'log').read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it in good order; it stops its containers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
        self._process = None

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Let nobody reach it for a while; what it runs goes on."""
        socket = self._folder / "docker.sock"
        away = socket.rename(self._folder / "away.sock")
        try:
            yield
        finally:
            away.rename(socket)

    def fill(self) -> None:
        """Import the small image, out of the image of the other tests."""
        files = self._folder / "python.tar"
        with files.open("wb") as out:
            subprocess.run(["docker", "run", "--rm", "--network=none", parts.IMAGE, "sh", "-ec", PYTHON], stdout=out, check=True)
        subprocess.run(["docker", "--host", self.address, "import", files, IMAGE], stdout=subprocess.DEVNULL, check=True)
        files.unlink()

    def remove(self, container: str) -> None:
        """Remove a container as its admin does."""
        subprocess.run(["docker", "--host", self.address, "rm", "--force", container], stdout=subprocess.DEVNULL, check=True)

    def containers(self) -> list[str]:
        """Return the ids of all its containers."""
        listed = subprocess.run(["docker", "--host", self.address, "ps", "--all", "--quiet"], capture_output=True, text=True, check=True)
        return listed.stdout.split()

    def _answers(self) -> bool:
        if not (self._folder / "docker.sock").exists():  # docker-py would leak a socket over it
            return False
        try:
            client = docker.DockerClient(base_url=self.address, version="auto")
        except DockerException:
            return False
        client.close()
        return True


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """Start an engine with the small image in it, and stop it and remove its containers in the end."""
    engine = Engine(folder)
    engine.start()
    try:
        engine.fill()
        yield engine
    finally:
        engine.stop()
