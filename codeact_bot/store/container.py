"""MongoDB in a container, where Docker answers and no mongod can be found."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from codeact_bot.errors import StoreUnavailable
from codeact_bot.store.primary import REPLICA_SET, await_primary

IMAGE = "mongo:7"
PULL_SECONDS = 600.0
"""How long Docker may take to download the image."""
COMMAND_SECONDS = 60.0


class Container:
    """The container of one folder, driven through the `docker` program and published on the loopback address alone."""

    def __init__(self, folder: Path) -> None:
        """Name the container and its volume after the folder."""
        self.name = f"Docker image {IMAGE}"
        self._mark = folder / "container"
        self._container = f"codeact-mongodb-{hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]}"

    def running(self) -> bool:
        """Whether the container runs."""
        return self._mark.exists() and self._ask("inspect", "--format", "{{.State.Running}}", self._container) == "true"

    def start(self) -> None:
        """Start it, after removing what a crash left of it. Raises StoreUnavailable."""
        program = shutil.which("docker")
        if program is None:
            raise StoreUnavailable("There is no mongod, and no `docker` program to run one with.")
        self._mark.touch()
        self._ask("rm", "--force", self._container)
        place = ["--name", self._container, "--publish", "127.0.0.1::27017", "--volume", f"{self._container}:/data/db"]
        server = [IMAGE, "--replSet", REPLICA_SET, "--bind_ip_all", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]
        try:
            ended = _run([program, "run", "--detach", "--rm", *place, *server], PULL_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoreUnavailable(f"Docker could not run {IMAGE}: {error}.") from error
        if ended.returncode:
            raise StoreUnavailable(f"Docker could not run {IMAGE}: {ended.stderr.strip()[-400:]}.")

    def ready(self) -> str:
        """Wait until it takes writes and return its address. Raises StoreUnavailable."""
        port = self._ask("port", self._container, "27017/tcp").partition("\n")[0].rpartition(":")[2]
        url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        await_primary(url, "127.0.0.1:27017", self.running)
        return url

    def stop(self) -> None:
        """Stop it if it runs; its volume stays."""
        if self._mark.exists():
            self._ask("stop", self._container)
            self._mark.unlink()

    def _ask(self, *arguments: str) -> str:
        """Return what docker prints; empty where it fails or is not there."""
        program = shutil.which("docker")
        if program is None:
            return ""
        try:
            return _run([program, *arguments], COMMAND_SECONDS).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            return ""


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)  # noqa: S603
