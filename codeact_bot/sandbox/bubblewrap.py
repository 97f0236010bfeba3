"""The command line that runs a worker under bubblewrap: namespaces of its own, no network, a file system of a few read-only folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime", "timezone", "mime.types", "magic", "ssl/certs")
"""What libraries look for in /etc; nothing there is secret."""
HOME = "/home/sandbox"
"""The working folder inside."""
TEMPORARY = 256 * 1024 * 1024
"""Bytes of /tmp inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """An installed bubblewrap and what it can do."""

    path: str
    version: tuple[int, ...]

    def command(self, folders: Sequence[str], environment: Mapping[str, str], disk: int) -> list[str]:
        """Return what goes before the command to run; `folders` are shown read-only, `disk` bounds the working folder in bytes."""
        root = os.geteuid() == 0
        command = [self.path, *NAMESPACES, "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
        if root:
            # Just enough for the worker's first lines, which give up root for a user id of their own.
            command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            command += ["--unshare-user", *(["--disable-userns"] if self.version >= (0, 8) else [])]
        for name, value in environment.items():
            command += ["--setenv", name, value]
        command += _system()
        command += ["--proc", "/proc", "--dev", "/dev", *self._scratch("/tmp", TEMPORARY)]  # noqa: S108
        command += ["--perms", "0755", "--dir", str(Path(HOME).parent), *self._scratch(HOME, disk)]
        for parent in sorted({str(parent) for folder in folders for parent in Path(folder).parents if parent != Path("/")}):
            # bubblewrap itself would make them for the owner alone.
            command += ["--perms", "0755", "--dir", parent]
        for folder in folders:
            command += ["--ro-bind", folder, folder]
        return [*command, "--chdir", HOME, "--"]

    def _scratch(self, path: str, size: int) -> list[str]:
        """Mount an empty folder in memory that everyone inside may write to."""
        bound = ["--size", str(size)] if self.version >= (0, 8) else []
        return ["--perms", "1777", *bound, "--tmpfs", path]


def _system() -> list[str]:
    mounts: list[str] = []
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            mounts += ["--symlink", str(path.readlink()), name]
        elif path.exists():
            mounts += ["--ro-bind", name, name]
    for folder in ("/etc", *sorted({str(Path("/etc", name).parent) for name in ETC if "/" in name})):
        # bubblewrap itself would make them for the owner alone.
        mounts += ["--perms", "0755", "--dir", folder]
    for name in ETC:
        mounts += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return mounts
