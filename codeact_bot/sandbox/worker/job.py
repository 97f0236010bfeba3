"""What the child is busy with: its deadline, and the bounds of its output."""

from __future__ import annotations

import time

from .processes import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GRACE = 1.0
"""Seconds between the first KeyboardInterrupt and SIGKILL."""
AGAIN = 0.25
"""Seconds between one KeyboardInterrupt and the next."""
SLACK = 256 * 1024
"""Bytes by which the kept tail may grow before it is trimmed, so that trimming stays rare."""


class Job:
    """One request that the child works on."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.kind: str = header["type"]
        self.number: int = header["id"]
        self.files: int = header.get("files", 0)
        self.began = time.monotonic()
        self.deadline: float = self.began + header["seconds"]
        self.born = now()
        self.reason = ""
        self.again = self.kill_at = 0.0
        output = header.get("output", 0)
        self._head, self._keep = output // 2, output - output // 2
        self._tail = bytearray()
        self.cut = 0

    def due(self) -> float:
        """Return the monotonic time at which something has to be done."""
        return min(self.again, self.kill_at) if self.reason else self.deadline

    def stop(self, reason: str) -> None:
        """Note that the code was interrupted, and why."""
        now = time.monotonic()
        self.reason, self.again, self.kill_at = reason, now + AGAIN, now + GRACE

    def keep(self, data: bytes) -> bytes:
        """Take in output; returns what belongs to the head and may be shown at once."""
        head, rest = data[: self._head], data[self._head :]
        self._head -= len(head)
        self._tail += rest
        if len(self._tail) > self._keep + SLACK:
            self._trim()
        return head

    def tail(self) -> bytes:
        """Return the kept end of the output; `cut` then counts what is missing before it."""
        self._trim()
        return bytes(self._tail)

    def _trim(self) -> None:
        extra = len(self._tail) - self._keep
        if extra > 0:
            self.cut += extra
            del self._tail[:extra]
