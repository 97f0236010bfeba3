"""Who started a container, so that what a dead process left behind can be told from what a live one uses."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def myself() -> str:
    """Identify this process for good: machine, process id and when it started, since ids are used again."""
    return f"{machine()}/{os.getpid()}/{started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this machine that has ended; False where that cannot be known."""
    where, pid, when = [*owner.split("/"), "", ""][:3]
    return where == machine() and pid.isdigit() and started(int(pid)) != when


def machine() -> str:
    """Name this boot of this machine, and the process id namespace, in which process ids mean something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return platform.node()
    return f"{boot}-{namespace}"


def started(pid: int) -> str:
    """Say when a process started, in the kernel's own words; empty when there is no such process."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            return status.read_text(errors="replace").rpartition(")")[2].split()[19]
        except OSError:
            return ""
    asked = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
    return asked.stdout.strip()
