"""Guards over every test: the event loop is not blocked, nothing leaves the machine, nothing is left behind.

An audit hook sees connections and name look-ups where they happen, and `time.sleep` is watched the same way, so these guards need no
clock. Only a callback that computes for too long is measured, in CPU seconds of its thread, which a busy machine does not stretch.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
import time
import traceback
import uuid
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from tests import parts

BUSY = 2.0
"""CPU seconds that one callback of an event loop may take."""
LINGER = 10.0
"""Seconds that containers and processes have for vanishing after the last test."""
SESSION = f"CODEACT_TEST_SESSION={uuid.uuid4()}"
"""Marks the environment of all processes that the tests start."""

_complaints: list[str] = []


def install() -> None:
    """Start watching; audit hooks cannot be taken out again."""
    name, value = SESSION.split("=")
    os.environ[name] = value
    for variable in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[variable]
    sys.addaudithook(_audit)
    asyncio.Handle._run = _timed(asyncio.Handle._run)  # type: ignore[method-assign]
    time.sleep = _complaining(time.sleep)


def forget() -> None:
    """Begin a test."""
    _complaints.clear()


def complaints() -> list[str]:
    """Return what the test did wrong since `forget`."""
    return list(_complaints)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _check_connection(*args)
    elif event == "socket.sendto" and args[0].family != socket.AF_UNIX and not _is_local(args[1][0]):
        _refuse(f"a datagram leaves the machine: {args[1]}")
    elif event == "socket.getaddrinfo" and not _is_local(args[0]):
        _refuse(f"a name look-up leaves the machine: {args[0]}")


def _check_connection(connecting: socket.socket, address: Any) -> None:
    if connecting.family == socket.AF_UNIX:
        return
    if not _is_local(address[0]):
        _refuse(f"a connection leaves the machine: {address}")
    if connecting.gettimeout() != 0 and asyncio._get_running_loop() is not None:
        _complain(f"a connection to {address} blocks the event loop")


def _is_local(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(what: str) -> None:
    _complain(what)
    raise ConnectionRefusedError(f"refused by tests/guards.py: {what}")


def _complain(what: str) -> None:
    _complaints.append(f"{what}\n{''.join(traceback.format_stack(limit=12)[:-2])}")


def _timed(run: Any) -> Any:
    def timed(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        run(handle)
        spent = time.thread_time() - started
        if spent > BUSY:
            _complaints.append(f"{handle!r} kept the event loop busy for {spent:.1f} CPU seconds")

    return timed


def _complaining(sleep: Any) -> Any:
    def watched(seconds: float) -> None:
        if seconds > 0 and asyncio._get_running_loop() is not None:
            _complain("time.sleep blocks the event loop")
        sleep(seconds)

    return watched


def containers() -> frozenset[str]:
    """Return ids and names of all containers that codeact-bot labelled; empty where the engine is not the tests' own."""
    if "docker" not in parts.REQUIRED:
        return frozenset()
    try:
        client = docker.from_env(timeout=20)
    except DockerException:
        return frozenset()
    try:
        found = client.api.containers(all=True)
    except (DockerException, OSError):
        return frozenset()
    finally:
        client.close()
    return frozenset(
        f"container {one['Id'][:12]} {one['Names'][0]}" for one in found if any(label.startswith("codeact") for label in one["Labels"])
    )


def left_behind(before: frozenset[str]) -> list[str]:
    """Return what is there after LINGER seconds: containers that are not in `before`, processes that the tests started."""
    deadline = time.monotonic() + LINGER
    while True:
        left = sorted(containers() - before) + _processes()
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def _processes() -> list[str]:
    return [
        f"process {process.name} {' '.join(_text(process / 'cmdline').split(chr(0)))[:200]}"
        for process in Path("/proc").glob("[0-9]*")
        if SESSION in _text(process / "environ").split("\0") or _is_child(process)
    ]


def _is_child(process: Path) -> bool:
    state, _, parent = _text(process / "stat").rpartition(") ")[2].partition(" ")
    return state != "Z" and parent.split(" ")[0] == str(os.getpid())


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""
