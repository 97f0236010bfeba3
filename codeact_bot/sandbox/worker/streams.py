"""Standard streams of the code: one pipe for both outputs, nothing buffered, and nobody at the keyboard."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys

from . import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn


class Streams:
    """Descriptors 0 to 2, the Python streams over them, and what Ctrl-C does."""

    def __init__(self, print_to: int, on_interrupt: Callable[[int, object], None]) -> None:
        self._print_to, self._on_interrupt = print_to, on_interrupt
        self._stdin: Any = None
        self._stdout: Any = None
        self._stderr: Any = None

    def open(self) -> None:
        """Put descriptors and streams right again, whatever the block before did to them."""
        null = os.open(os.devnull, os.O_RDONLY)
        if null:
            os.dup2(null, 0)
            os.close(null)
        os.dup2(self._print_to, 1)
        os.dup2(self._print_to, 2)
        os.set_blocking(1, True)
        signal.signal(signal.SIGINT, self._on_interrupt)
        if self._stdout is None or self._stdout.closed or self._stderr.closed or self._stdin.closed:
            self._stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
            # Nothing is buffered, so that the output of subprocesses and of C code falls into its place.
            self._stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "replace", "\n", write_through=True)
            self._stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", "\n", write_through=True)
        sys.stdin, sys.stdout, sys.stderr = self._stdin, self._stdout, self._stderr
        sys.__dict__.update(__stdin__=self._stdin, __stdout__=self._stdout, __stderr__=self._stderr)


_python_print = print


def one_write_print(*values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False) -> None:
    """Print in one write, so that lines of threads and forks do not mix; Python's own does it in two, which only a buffer hides."""
    if file is None and isinstance(sep, str) and isinstance(end, str) and sys.stdout is not None:
        sys.stdout.write(sep.join(map(str, values)) + end)
        if flush:
            sys.stdout.flush()
    else:
        _python_print(*values, sep=sep, end=end, file=file, flush=flush)


functools.update_wrapper(one_write_print, print)


def no_input(prompt: object = "") -> NoReturn:
    """Refuse to wait for someone to type."""
    raise EOFError("nobody can type an answer here; put the value into the code instead of calling input()")


def flush() -> None:
    """Write out what Python and C code still hold back."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            # The block may have put anything in a stream's place.
            continue
    libc.flush()
