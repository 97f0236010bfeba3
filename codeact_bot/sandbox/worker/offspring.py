"""The supervisor's side of the child: forking it, speaking with it, burying it."""

from __future__ import annotations

import os
import struct
import time
from fcntl import fcntl, ioctl
from termios import FIONREAD

from .child import become_child
from .frames import CHUNK, decode
from .processes import kill_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

F_SETPIPE_SZ = 1031
PIPE = 1024 * 1024


class Offspring:
    """The current child, everything it started, and the pipes to it; `printed` outlives each child."""

    def __init__(self, config: dict[str, Any], save_to: int) -> None:
        self._config, self._save_to = config, save_to
        self.printed, self._print_to = os.pipe()
        try:
            fcntl(self._print_to, F_SETPIPE_SZ, PIPE)
        except OSError:
            # Too many large pipes under this user id; a small one is only slower.
            pass
        os.set_blocking(self.printed, False)
        self.pid = 0
        self.death: int | None = None
        self.order = self.heard = -1
        self.orders, self._answers = bytearray(), bytearray()

    def spawn(self) -> bool:
        """Fork a child; False where no process can be had for two seconds."""
        order, self.order = os.pipe()
        self.heard, say = os.pipe()
        self.death = None
        until = time.monotonic() + 2
        while True:
            try:
                self.pid = os.fork()
                break
            except OSError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.01)
        if self.pid == 0:
            become_child(self._config, order, say, self._print_to, self._save_to)
        os.close(order)
        os.close(say)
        os.set_blocking(self.order, False)
        os.set_blocking(self.heard, False)
        return True

    def forget(self) -> None:
        """Close what belonged to a dead child."""
        os.close(self.order)
        os.close(self.heard)
        self.orders.clear()
        self._answers.clear()

    def push(self) -> None:
        """Write orders as far as the pipe takes them."""
        try:
            with memoryview(self.orders) as view:
                sent = os.write(self.order, view[:CHUNK])
            del self.orders[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.orders.clear()

    def hear(self, relay: Callable[[dict[str, Any], bytes], None]) -> bool:
        """Read what the child says and relay its frames; False when it hung up or talks junk."""
        try:
            data = os.read(self.heard, CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        self._answers += data
        try:
            frame = decode(self._answers)
            while frame is not None:
                relay(*frame)
                frame = decode(self._answers)
        except (ValueError, RecursionError):
            return False
        return True

    def read_output(self, limit: int) -> bytes:
        """Return output that waits in the pipe; empty where there is none."""
        try:
            return os.read(self.printed, limit)
        except BlockingIOError:
            return b""

    def waiting_output(self) -> int:
        """Return how many bytes of output wait in the pipe."""
        size = bytearray(4)
        ioctl(self.printed, FIONREAD, size)
        return int(struct.unpack("i", size)[0])

    def reap(self) -> bool:
        """Collect the dead; returns whether any process is left."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self.death = code

    def destroy(self) -> None:
        """Kill every process but this one; orphans become children of this one, so that none can hide."""
        until = time.monotonic() + 2
        while self.reap() and time.monotonic() < until:
            kill_all(self._config.get("alone") is True)
            time.sleep(0.001)
