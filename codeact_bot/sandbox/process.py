"""Sandboxes without Docker: bubblewrap where it works, else a plain child process with resource limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codeact_bot.errors import ProtocolViolated, SandboxLost, SandboxUnavailable
from codeact_bot.ports import Progress
from codeact_bot.sandbox import owner
from codeact_bot.sandbox.bootstrap import worker_command
from codeact_bot.sandbox.bubblewrap import SYSTEM, Bubblewrap
from codeact_bot.sandbox.local import ProcessChannel, kill_session, spawn
from codeact_bot.sandbox.remote import RemoteSession, Startup
from codeact_bot.types import Resources

Isolation = Literal["auto", "bubblewrap", "plain"]
PREFIXES = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]))"
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
"""Libraries that start a thread for each of the machine's processors unless told otherwise."""
STARTS = 8
"""Processes that are started at once; a fork holds up the event loop for about a millisecond."""
OWNER = "CODEACT_OWNER"
"""Environment variable of bubblewrap itself, by which a process that nobody waits for any more is found; code does not see it."""
UIDS = range(2**30, 2**31)
"""User ids that no machine gives to people; each sandbox draws one, so that limits per user count it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What was found out about this machine."""

    wrap: Bubblewrap | None
    folders: Sequence[str]
    """What the interpreter needs of the file system, besides the system's own folders."""
    drops: bool
    """Whether a sandbox gets a user id of its own."""


class ProcessSandbox:
    """Starts workers as processes of this machine."""

    def __init__(self, *, resources: Resources | None = None, python: str = sys.executable, isolation: Isolation = "auto") -> None:
        self._resources, self._isolation = resources or Resources(), isolation
        self._python = shutil.which(python) or python
        self._ground: Ground | None = None
        self._starting = asyncio.Semaphore(STARTS)

    @property
    def name(self) -> str:
        """`process (bubblewrap)` or `process (plain)`; before `prepare` just `process`."""
        if self._ground is None:
            return "process"
        return "process (bubblewrap)" if self._ground.wrap else "process (plain)"

    @property
    def warning(self) -> str:
        """What this sandbox does not protect from, in sentences for a person; known after `prepare`."""
        if self._ground is None:
            return ""
        if self._ground.wrap:
            return (
                "Code runs under bubblewrap: it sees neither your files nor the network, but its memory is limited only per process, "
                "and it shares this machine's kernel. Use Docker to serve people whom you do not trust."
            )
        who = "as a user of its own" if self._ground.drops else "as root" if os.geteuid() == 0 else "as you"
        reach = "whatever all users may read" if self._ground.drops else "your files and programs"
        # Linux does not hold root to RLIMIT_NPROC (setrlimit(2)).
        limited = "time and files" if who == "as root" else "time, files and processes"
        return (
            f"Code runs in a plain process {who}: it can reach the network and {reach}, and only its memory, {limited} "
            "are limited, as far as the system allows. Install bubblewrap or Docker to protect this machine."
        )

    async def prepare(self, progress: Progress) -> None:
        """Find out what works here. Raises SandboxUnavailable."""
        if self._ground is not None:
            return
        folders = await self._folders()
        wrap = None if self._isolation == "plain" else await self._find_bubblewrap(folders)
        if wrap is None and self._isolation == "bubblewrap":
            raise SandboxUnavailable(
                "bubblewrap does not work here. Install it (apt install bubblewrap) and allow user namespaces, or use Docker."
            )
        drops = os.geteuid() == 0 and (wrap is not None or await _runs([self._python, "-c", "pass"], uid=UIDS.start))
        self._ground = Ground(wrap=wrap, folders=folders, drops=drops)

    async def start(self, label: str) -> RemoteSession:
        """Start a session; processes carry no labels, so that `label` is not used. Raises SandboxUnavailable, SandboxLost."""
        await self.prepare(lambda _: None)
        async with self._starting:
            return await self._start()

    async def _start(self) -> RemoteSession:
        assert self._ground is not None
        uid = secrets.choice(UIDS) if self._ground.drops else None
        folder = None if self._ground.wrap else _private_folder(uid)
        environment = {**self._environment(folder), **({OWNER: owner.myself()} if self._ground.wrap else {})}  # bubblewrap keeps it to itself
        channel = await ProcessChannel.start(self._command(self._ground, uid, folder), environment, folder, uid)
        try:
            return await RemoteSession.open(channel, self._startup(self._ground))
        except (SandboxLost, ProtocolViolated) as exc:
            if isinstance(exc, SandboxLost) and not channel.complaint:
                raise
            raise SandboxUnavailable(f"The sandbox process did not start: {exc} {channel.complaint}".strip()) from exc

    async def reap(self) -> int:
        """Remove working folders of dead owners, whose processes have ended with them, and what a kill left of a bubblewrap that was starting."""
        return await asyncio.to_thread(lambda: _reap() + _reap_starts())

    async def check(self) -> None:
        """Find out whether a worker can be started. Raises SandboxUnavailable."""
        await self.prepare(lambda _: None)
        assert self._ground is not None
        for program in (self._python, *(["bwrap"] if self._ground.wrap else [])):
            if shutil.which(program) is None:
                raise SandboxUnavailable(f"{program} is not there any more, so that no sandbox can be started. Install it again.")

    async def aclose(self) -> None:
        """Nothing is held."""

    def _command(self, ground: Ground, uid: int | None, folder: Path | None) -> list[str]:
        worker = worker_command(self._python, uid=uid)
        if ground.wrap is None:
            return worker
        return [*ground.wrap.command(ground.folders, self._environment(folder), self._resources.disk), *worker]

    def _startup(self, ground: Ground) -> Startup:
        given = self._resources
        # RLIMIT_NPROC counts all processes of a user id, so that one which is shared needs room for the others.
        processes = given.processes + (0 if ground.drops else _tasks())
        rlimits = {"nofile": given.open_files, "nproc": processes, "fsize": given.disk, "core": 0}
        # What is reserved but never used counts for RLIMIT_AS, and NumPy reserves much; RLIMIT_DATA counts what can be written to.
        rlimits |= {"data": given.memory, "as": 4 * given.memory}
        return Startup(memory=given.memory, rlimits=rlimits, alone=ground.drops)

    def _environment(self, folder: Path | None) -> Mapping[str, str]:
        """Return the whole environment of the code: nothing of the host's is in it."""
        temporary = str(folder / ".tmp") if folder else "/tmp"  # noqa: S108
        path = ":".join(dict.fromkeys([str(Path(self._python).parent), "/usr/local/bin", "/usr/bin", "/bin"]))
        names = {"PATH": path, "HOME": temporary, "TMPDIR": temporary, "LANG": "C.UTF-8", "USER": "sandbox", "LOGNAME": "sandbox"}
        names |= {"MPLCONFIGDIR": temporary, "MPLBACKEND": "Agg", "MALLOC_ARENA_MAX": "2"}
        return names | {f"{library}_NUM_THREADS": str(max(1, round(self._resources.cpus))) for library in THREADS}

    async def _folders(self) -> Sequence[str]:
        code, out = await _output([self._python, "-I", "-c", PREFIXES])
        if code:
            raise SandboxUnavailable(f"{self._python} does not start. Give the path of a Python interpreter, version 3.9 or later.")
        return _outside_system(json.loads(out))

    async def _find_bubblewrap(self, folders: Sequence[str]) -> Bubblewrap | None:
        """Return bubblewrap if it is installed and a worker's interpreter runs under it."""
        path = shutil.which("bwrap")
        if path is None:
            return None
        _, out = await _output([path, "--version"])
        version = tuple(int(part) for part in re.findall(r"\d+", out)[:2])
        wrap = Bubblewrap(path=path, version=version)
        drop = f"import os; os.getuid() or (os.setgroups([]), os.setresuid(*[{UIDS.start}] * 3)); import socket"
        probe = [*wrap.command(folders, self._environment(None), self._resources.disk), self._python, "-c", drop]
        return wrap if await _runs(probe) else None


def _outside_system(folders: Sequence[str]) -> Sequence[str]:
    found = sorted({Path(folder).absolute() for folder in folders})
    return [str(folder) for folder in found if folder != Path("/") and not any(folder.is_relative_to(system) for system in SYSTEM)]


async def _output(command: Sequence[str], uid: int | None = None) -> tuple[int, str]:
    """Run a command; returns its exit code, 127 where it cannot be started, and its output."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    groups: list[int] | None = None if uid is None else []
    try:
        process = await spawn(command, stdin=null, stdout=pipe, stderr=null, cwd="/", user=uid, group=uid, extra_groups=groups)
    except OSError:
        return 127, ""
    try:
        out, _ = await process.communicate()
    except asyncio.CancelledError:
        await kill_session(process)
        raise
    return process.returncode or 0, out.decode("utf-8", "replace")


async def _runs(command: Sequence[str], uid: int | None = None) -> bool:
    return (await _output(command, uid))[0] == 0


def _base() -> Path:
    """Return the folder that holds the working folders of plain sandboxes; it belongs to this user, and others may only pass through."""
    base = Path(tempfile.gettempdir()) / f"codeact-bot-{os.geteuid()}"
    base.mkdir(mode=0o711, exist_ok=True)
    about = base.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise SandboxUnavailable(f"{base} belongs to somebody else. Remove it, or set TMPDIR to another folder.")
    return base


def _private_folder(uid: int | None) -> Path:
    """Make a working folder, marked with the process that owns it."""
    name = secrets.token_hex(8)
    base = _base()
    (base / f"{name}.owner").write_text(owner.myself())
    folder = base / name
    folder.mkdir(mode=0o700)
    (folder / ".tmp").mkdir(mode=0o700)
    if uid is not None:
        os.chown(folder / ".tmp", uid, uid)
        os.chown(folder, uid, uid)
    return folder


def _reap() -> int:
    reaped = 0
    for marker in _base().glob("*.owner"):
        with contextlib.suppress(FileNotFoundError):
            if owner.is_dead(marker.read_text()):
                shutil.rmtree(marker.with_suffix(""), ignore_errors=True)
                marker.unlink()
                reaped += 1
    return reaped


def _reap_starts() -> int:
    """Kill the inner halves of bubblewraps whose outer half was killed before the two had met: they would wait for it for ever."""
    reaped = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            names = dict(each.partition(b"=")[::2] for each in (folder / "environ").read_bytes().split(b"\0"))
            whose = names.get(OWNER.encode(), b"").decode(errors="replace")
            if whose and owner.is_dead(whose):
                os.kill(int(folder.name), signal.SIGKILL)
                reaped += 1
    return reaped


def _tasks() -> int:
    """Count this user's processes and threads, roughly; 500 where that cannot be known."""
    count = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":\t", 1) for line in status.read_text(errors="replace").splitlines() if ":\t" in line)
            if int(fields["Uid"].split()[0]) == os.geteuid():
                count += int(fields.get("Threads", "1"))
    return count or 500
