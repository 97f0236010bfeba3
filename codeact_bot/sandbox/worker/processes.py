"""Processes in the sandbox: killing them all, and telling why one died."""

from __future__ import annotations

import os
import signal


def kill_all(alone: bool) -> None:
    """Send SIGKILL to all others in this process namespace or, with `alone`, of this user id; else to all descendants."""
    if alone or os.getpid() == 1:
        send(-1, signal.SIGKILL)
        return
    for pid in _descendants():
        send(pid, signal.SIGKILL)


def send(target: int, number: int) -> None:
    """Send a signal to a process, or with a negative target to its group; the dead do not mind."""
    try:
        os.kill(target, number)
    except OSError:
        pass


def _descendants() -> set[int]:
    parents = _parents()
    family = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            return family - {os.getpid()}
        family |= more


def _parents() -> dict[int, int]:
    """Return the parent of every process."""
    if not os.path.exists("/proc/self/stat"):
        with os.popen("ps -A -o pid=,ppid=") as lines:
            return {int(pid): int(parent) for pid, parent in (line.split() for line in lines)}
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, errors="replace") as about:
                    parents[int(name)] = int(about.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return parents


def oom_kills() -> int:
    """Return how often the kernel killed something here for want of memory (cgroup version 2, then 1)."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as lines:
                for line in lines:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            continue
    return 0


def signal_name(number: int) -> str:
    """Return `SIGSEGV` for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
