"""The supervisor's side of a snapshot: what a fork of the child says while the child itself goes on."""

from __future__ import annotations

import os
import signal
import time
from fcntl import fcntl

from .frames import CHUNK, decode
from .processes import send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

F_SETPIPE_SZ = 1031
PIPE = 1024 * 1024
ROUNDS = 64
"""Reads that empty the pipe, unless code keeps filling it."""
LOOK = 200
"""Milliseconds between looks at the fork: gVisor says nothing of the death of an adopted process."""
FAILED = b'{"error": "it took too long or too much memory."}'


class Saving:
    """At most one snapshot on its way; its pipe outlives each child."""

    def __init__(self, tell: Callable[[str, int, bytes], None]) -> None:
        self._tell = tell
        self.said, self.say = os.pipe()
        try:
            fcntl(self.say, F_SETPIPE_SZ, PIPE)
        except OSError:
            # As for the output: a small one is only slower.
            pass
        os.set_blocking(self.said, False)
        self.number = self.pid = 0
        self.deadline = 0.0
        self._answers = bytearray()

    def begin(self, number: int, deadline: float) -> None:
        """Expect the frames of a snapshot, and nothing of what code may have written there by itself."""
        self.forget()
        self.number, self.deadline = number, deadline

    def go_on(self, pid: int) -> None:
        """The child goes on, and leaves the rest to its fork."""
        if self.number:
            self.pid = pid
            self.check()

    def forget(self) -> None:
        """Expect nothing more, and end the fork where one is at work."""
        self.stop()
        for _ in range(ROUNDS):
            if not self._read():
                break
        self._answers.clear()
        self.number = self.pid = 0

    def stop(self) -> None:
        """End the fork."""
        if self.pid:
            send(self.pid, signal.SIGKILL)

    def hear(self) -> bool:
        """Relay what the fork says; returns whether there was something."""
        if not self._read():
            return False
        try:
            frame = decode(self._answers)
            while frame is not None:
                self._relay(*frame)
                frame = decode(self._answers)
        except (ValueError, RecursionError):
            self._fail()
        return True

    def check(self) -> None:
        """Where the fork is dead or late, hear its last words and say so."""
        if not self.number or not self.pid:
            return
        if time.monotonic() >= self.deadline:
            self.stop()
        if self._dead():
            while self.number and self.hear():
                pass
            if self.number:
                self._fail()

    def _dead(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        except ChildProcessError:
            # It was buried already, or belongs to somebody else, as where a process cannot adopt its grandchildren.
            try:
                os.kill(self.pid, 0)
            except OSError:
                return True
            return False

    def _relay(self, header: dict[str, Any], body: bytes) -> None:
        if not self.number or header["id"] != self.number:
            return
        if header["type"] == "snapshot":
            self._tell("snapshot", self.number, body)
        elif header["type"] == "saved":
            self._tell("saved", self.number, body)
            self.number = self.pid = 0

    def _fail(self) -> None:
        number = self.number
        self.forget()
        if number:
            self._tell("saved", number, FAILED)

    def _read(self) -> bool:
        try:
            data = os.read(self.said, CHUNK)
        except BlockingIOError:
            return False
        self._answers += data
        return bool(data)
