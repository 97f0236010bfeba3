"""Processes in the sandbox: killing them all, and telling why one died."""

from __future__ import annotations

import os
import signal
import time

ROUNDS = 100


def kill_all(alone: bool) -> None:
    """Send SIGKILL to all others in this process namespace or, with `alone`, of this user id; else to all descendants."""
    if alone or os.getpid() == 1:
        send(-1, signal.SIGKILL)
        return
    for pid in _descendants(_processes()):
        send(pid, signal.SIGKILL)


def send(target: int, number: int) -> None:
    """Send a signal to a process, or with a negative target to its group; the dead do not mind."""
    try:
        os.kill(target, number)
    except OSError:
        pass


def now() -> int:
    """Return the time since the machine's start as /proc has it, in ticks; 0 where there is no such clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0 if clock is None else int(time.clock_gettime(clock) * os.sysconf("SC_CLK_TCK"))


def end_newer(spared: int, since: int) -> bool:
    """Kill all descendants started since `since`, but for `spared`; False where they multiply faster than they die."""
    doomed: set[int] = set()
    for _ in range(ROUNDS):
        family = _processes()
        more = {pid for pid in _descendants(family) if pid != spared and family[pid][1] >= since} - doomed
        if not more:
            break
        # What is stopped still counts for the limit of processes, so that a fork bomb runs out of room.
        for pid in more:
            send(pid, signal.SIGSTOP)
        doomed |= more
    for pid in doomed:
        send(pid, signal.SIGKILL)
    return not more


def _descendants(processes: dict[int, tuple[int, int]]) -> set[int]:
    family = {os.getpid()}
    while True:
        more = {pid for pid, (parent, _) in processes.items() if parent in family} - family
        if not more:
            return family - {os.getpid()}
        family |= more


def _processes() -> dict[int, tuple[int, int]]:
    """Return parent and start of every process; on macOS, which has no /proc, all have started long ago."""
    if not os.path.exists("/proc/self/stat"):
        with os.popen("ps -A -o pid=,ppid=") as lines:
            return {int(pid): (int(parent), -1) for pid, parent in (line.split() for line in lines)}
    processes = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, errors="replace") as about:
                    fields = about.read().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX":
                processes[int(name)] = (int(fields[1]), int(fields[19]))
    return processes


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
