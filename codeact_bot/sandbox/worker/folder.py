"""The working folder, as the supervisor serves it to the host."""

from __future__ import annotations

import errno
import os
import stat

from .frames import write_all

ENTRIES = 5000
"""Entries of the working folder that are looked at."""
PIECE = ".codeact-put"
"""Holds the beginning of a file that is still arriving."""


class Folder:
    """Reads, writes and lists; no name leads out of the folder, and no link is followed."""

    def __init__(self) -> None:
        self._root = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self._seen: dict[str, tuple[int, int, int]] = {}

    def read(self, name: str, offset: int, size: int) -> tuple[bytes, int]:
        """Return a piece of a regular file, and the file's size. Raises OSError."""
        parent, last = self._parent(name, make=False)
        try:
            # Without O_NONBLOCK, opening a FIFO would wait for its other end.
            fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            return os.pread(fd, size, offset), about.st_size
        finally:
            os.close(fd)

    def write(self, name: str, data: bytes, offset: int, last: bool) -> None:
        """Write a piece beside the file, and put it in the file's place after the last piece. Raises OSError."""
        parent, base = self._parent(name, make=True)
        try:
            if offset == 0 and PIECE in os.listdir(parent):
                os.unlink(PIECE, dir_fd=parent)
            flags = os.O_WRONLY | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if offset == 0 else 0)
            fd = os.open(PIECE, flags, 0o644, dir_fd=parent)
            try:
                os.lseek(fd, offset, os.SEEK_SET)
                write_all(fd, data)
            finally:
                os.close(fd)
            if last:
                os.replace(PIECE, base, src_dir_fd=parent, dst_dir_fd=parent)
                about = os.stat(base, dir_fd=parent, follow_symlinks=False)
                self._seen[name] = (about.st_size, about.st_mtime_ns, about.st_ino)
        finally:
            os.close(parent)

    def listing(self) -> list[tuple[str, int]]:
        """Return names and sizes of the regular files, sorted; hidden ones and __pycache__ do not count."""
        return sorted((name, about[0]) for name, about in self._scan().items())

    def changed(self) -> list[tuple[str, int]]:
        """Return names and sizes of the files made or changed since the last call, in order of their change."""
        found = self._scan()
        news = [(about[1], name, about[0]) for name, about in found.items() if self._seen.get(name) != about]
        self._seen = found
        return [(name, size) for _, name, size in sorted(news)]

    def _parent(self, name: str, make: bool) -> tuple[int, str]:
        """Open the folder that holds `name`; returns its descriptor and the last part."""
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise OSError(errno.EINVAL, "the name is not allowed")
        return self._descend(parts[:-1], make), parts[-1]

    def _descend(self, parts: list[str], make: bool = False) -> int:
        """Open the folder at the end of a path, making what is missing if asked to. Raises OSError."""
        here = os.dup(self._root)
        for part in parts:
            try:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=here)
                    except FileExistsError:
                        pass
                there = _enter(part, here)
            finally:
                os.close(here)
            here = there
        return here

    def _scan(self) -> dict[str, tuple[int, int, int]]:
        """Return sizes, times of change in nanoseconds and inodes."""
        found: dict[str, tuple[int, int, int]] = {}
        waiting, left = [""], ENTRIES
        while waiting and left > 0:
            prefix = waiting.pop()
            try:
                fd = self._descend(prefix.split("/")[:-1])
            except OSError:
                continue
            try:
                left -= self._look(fd, prefix, left, found, waiting)
            finally:
                os.close(fd)
        return found

    def _look(self, fd: int, prefix: str, most: int, found: dict[str, tuple[int, int, int]], waiting: list[str]) -> int:
        """Sort at most `most` entries of one folder into `found` and `waiting`; returns how many were looked at."""
        looked = 0
        with os.scandir(fd) as entries:
            for entry in entries:
                looked += 1
                if looked > most:
                    break
                if entry.name.startswith(".") or entry.name == "__pycache__":
                    continue
                try:
                    about = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                name = prefix + entry.name
                if stat.S_ISDIR(about.st_mode):
                    waiting.append(name + "/")
                elif stat.S_ISREG(about.st_mode) and _presentable(name):
                    found[name] = (about.st_size, about.st_mtime_ns, about.st_ino)
        return looked


def _enter(part: str, parent: int) -> int:
    """Open a folder that is no link. Raises OSError."""
    fd = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    # gVisor follows a link here in spite of O_NOFOLLOW.
    if os.path.samestat(os.stat(part, dir_fd=parent, follow_symlinks=False), os.fstat(fd)):
        return fd
    os.close(fd)
    raise OSError(errno.ELOOP, "it is behind a link")


def _presentable(name: str) -> bool:
    """Whether the host would take this name."""
    try:
        return len(name.encode()) <= 4096 and name.isprintable() and "\\" not in name
    except UnicodeEncodeError:
        return False
