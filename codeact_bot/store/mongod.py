"""A mongod program as a replica set of one, reachable only through a Unix socket that its owner alone may open."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from codeact_bot.errors import StoreUnavailable
from codeact_bot.store.primary import REPLICA_SET, START_SECONDS, await_primary

STOP_SECONDS = 20.0
"""How long a server may take to write its last checkpoint."""
SOCKET_PATH = 100
"""Bytes of a Unix socket's path that every system takes (macOS: 104, the final NUL included)."""
LOG_LINES = 5
"""Lines of the log that an error quotes."""


def programs() -> Iterator[str]:
    """Find the mongods that run here: the one on PATH, then the one in the `embedded` extra's wheel."""
    for program in (shutil.which("mongod"), _packaged()):
        if program and _runs(program):
            yield program


def _packaged() -> str | None:
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "db" / "bin" / "mongod"
        if program.is_file():
            return _executable(program)
    return None


def _executable(program: Path) -> str:
    if not os.access(program, os.X_OK):
        program.chmod(program.stat().st_mode | 0o111)
    return str(program)


def _runs(program: str) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=30, check=False).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False


class Mongod:
    """The server of one folder. mongod's own lock on its data says whether it runs, so no foreign process is taken for it."""

    def __init__(self, folder: Path, program: str = "") -> None:
        """Name the folder; `program` is needed only to start."""
        self.name = program
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._log = self._folder / "mongod.log"
        self._socket = _socket(self._folder)

    def running(self) -> bool:
        """Whether a mongod holds the lock on the data."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        """Return the process id that the holder of the lock has written into it; 0 where it has not yet."""
        try:
            with (self._data / "mongod.lock").open("rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(lock.read().strip() or 0)
        except FileNotFoundError:
            pass
        return None

    def start(self) -> None:
        """Start it apart from this terminal. Raises StoreUnavailable with the log's last lines."""
        self._data.mkdir(exist_ok=True, mode=0o700)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        try:
            ended = subprocess.run(  # noqa: S603
                self._command(), stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, timeout=START_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoreUnavailable(self._failed(str(error))) from error
        if ended.returncode:
            raise StoreUnavailable(self._failed(f"it ended with status {ended.returncode}"))

    def _command(self) -> list[str]:
        where = ["--dbpath", str(self._data), "--bind_ip", str(self._socket), "--unixSocketPrefix", str(self._socket.parent)]
        size = ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        return [self.name, *where, *size, "--replSet", REPLICA_SET, "--fork", "--logpath", str(self._log), "--quiet"]

    def ready(self) -> str:
        """Wait until it takes writes and return its address. Raises StoreUnavailable."""
        url = f"mongodb://{quote(str(self._socket), safe='')}/?directConnection=true"
        try:
            await_primary(url, str(self._socket), self.running)
        except StoreUnavailable as error:
            raise StoreUnavailable(self._failed(str(error))) from error
        return url

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        pid = self._pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _failed(self, reason: str) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            lines = []
        quoted = f" Its log {self._log} ends with:\n" + "\n".join(line[:400] for line in lines) + "\n" if lines else ""
        return f"{self.name or 'mongod'} did not start: {reason}.{quoted}"


def _socket(folder: Path) -> Path:
    """Return the socket's path in the folder, or in a short private one where that is too long."""
    path = folder / "mongod.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH and "," not in str(path):
        return path
    short = Path(tempfile.gettempdir()) / f"codeact-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}-{os.getuid()}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or short.is_symlink():
        raise StoreUnavailable(f"{short} belongs to somebody else or is open to others. Remove it, or choose a shorter data folder.")
    return short / "mongod.sock"
