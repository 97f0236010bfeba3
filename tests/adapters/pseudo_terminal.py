"""A program in a real pseudo-terminal, watched through a terminal emulator."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds to wait for something to appear; a slow machine needs some, a failure costs all of them."""
START = """\
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Takes the terminal as the controlling one, so that Ctrl-C becomes a signal."""


class Terminal:
    """Types into a program and reads its screen."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes], columns: int, rows: int) -> None:
        self.raw = b""
        self._descriptor = descriptor
        self._process = process
        self._screen = pyte.HistoryScreen(columns, rows, history=2000)
        self._stream = pyte.Stream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def lines(self) -> list[str]:
        """Everything that was ever on the screen, the scrolled part included, without trailing blanks."""
        width = self._screen.columns
        above = ["".join(line[x].data for x in range(width)).rstrip() for line in self._screen.history.top]
        return [*above, *(line.rstrip() for line in self._screen.display)]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Read until `text` was on the screen so often."""
        end = time.monotonic() + PATIENCE
        while self.text.count(text) < times:
            if time.monotonic() > end or not self._read(end):
                raise AssertionError(f"{text!r} did not appear {times} times on:\n{self.text}")

    def wait_gone(self, text: str) -> None:
        """Read until `text` is nowhere any more."""
        end = time.monotonic() + PATIENCE
        while text in self.text:
            if time.monotonic() > end or not self._read(end):
                raise AssertionError(f"{text!r} stays on:\n{self.text}")

    def wait_end(self) -> int:
        """Read to the end of the program; return its status."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        return self._process.wait(PATIENCE)

    def interrupt(self) -> None:
        """Send SIGINT from outside."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the program with SIGKILL, wherever it is."""
        self._process.kill()
        self._process.wait()

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(self._decoder.decode(data))
        if b"\x1b[6n" in data:
            self.type(f"\x1b[{self._screen.cursor.y + 1};{self._screen.cursor.x + 1}R")
        return bool(data)


@contextmanager
def running(*arguments: str, columns: int = 80, rows: int = 40, **environ: str) -> Iterator[Terminal]:
    """Run `python -m ARGUMENTS` in a pseudo-terminal of its own; it is killed at the end if it still runs."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    marks = {name: value for name, value in os.environ.items() if name.startswith("CODEACT_TEST")}
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=ROOT,
        env={**kept, **marks, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environ},
        start_new_session=True,
    )
    os.close(follower)
    try:
        yield Terminal(leader, process, columns, rows)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(leader)
