"""The process that runs code, block after block in one namespace, as a notebook does."""

from __future__ import annotations

import _ast as ast  # all that is needed of `ast`, at a fraction of its time
import builtins
import fcntl
import json
import linecache
import os
import resource
import signal
import struct
import sys
import types

from . import libc
from .frames import CHUNK, decode, encode, write_all
from .shown import Shown
from .streams import Streams, flush, no_input, one_write_print
from .trouble import describe, tame_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Coroutine, NoReturn

NAMES = 200
HIGH = 60
"""The child's own descriptors are at least this high, out of reach of code that closes low ones."""
CO_COROUTINE = 0x80
PID = struct.Struct("i")
OOM_SCORE = "900"
"""Of 1000: whatever runs code is killed for want of memory before the supervisor is."""


def become_child(config: dict[str, Any], order: int, say: int, print_to: int, save_to: int) -> NoReturn:
    """Turn a fresh fork into the process that runs code; nothing of the protocol's descriptors stays open in it."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)
        libc.prctl(libc.SET_DUMPABLE, 1)
        libc.prctl(libc.SET_PDEATHSIG, signal.SIGKILL)
        try:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write(OOM_SCORE)
        except OSError:
            pass
        order, say, print_to, save_to = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH) for fd in (order, say, print_to, save_to))
        os.closerange(0, HIGH)
        os.closerange(max(order, say, print_to, save_to) + 1, 1024)
        for name, value in config.get("rlimits", {}).items():
            limit = getattr(resource, "RLIMIT_" + name.upper())
            hard = resource.getrlimit(limit)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            try:
                resource.setrlimit(limit, (value, value))
            except (OSError, ValueError):
                # macOS refuses some of them.
                continue
        Child(order, say, print_to, save_to).serve()
        status = 0
    except BaseException:
        import traceback

        write_all(print_to, traceback.format_exc().encode())
    finally:
        os._exit(status)


class Child:
    """Takes orders from the supervisor."""

    def __init__(self, order: int, say: int, print_to: int, save_to: int) -> None:
        self._order, self._say, self._save_to = order, say, save_to
        self._pid, self._fork = os.getpid(), 0
        self._orders = bytearray()
        self._armed = False
        self._loop: Any = None
        self._told: list[str] = []
        self._shown = Shown({})
        self._definitions: dict[str, ast.stmt] = {}
        self._streams = Streams(print_to, self._interrupted)
        main = types.ModuleType("__main__")
        main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = main
        self._space = main.__dict__
        sys.path.insert(0, "")
        sys.argv = [""]
        os.environ.setdefault("MPLBACKEND", "Agg")
        builtins.__dict__.update(input=no_input, display=self.display, print=one_write_print)
        self._streams.open()

    def serve(self) -> None:
        """Work until the supervisor is gone."""
        while True:
            header, body = self._next()
            if header["type"] == "run":
                self._run(header, body.decode("utf-8", "replace"))
            elif header["type"] == "snapshot":
                self._snapshot(header, body)
            elif header["type"] == "restore":
                self._restore(header, body)

    def display(self, *values: object) -> None:
        """Show values as the last expression of a block would be shown."""
        for value in values:
            text = self._shown.rich(value)
            if text is not None:
                print(text)

    def _next(self) -> tuple[dict[str, Any], bytes]:
        frame = decode(self._orders)
        while frame is None:
            data = os.read(self._order, CHUNK)
            if not data:
                os._exit(0)
            self._orders += data
            frame = decode(self._orders)
        return frame

    def _answer(self, number: int, body: bytes = b"", failed: bool = False, saving: int = 0) -> None:
        names = sorted(name for name, value in self._space.items() if not name.startswith("_") and type(value) is not types.ModuleType)
        fields: dict[str, object] = {} if names == self._told else {"names": names[:NAMES]}
        self._told = names
        write_all(self._say, encode("done", number, body, failed=failed, saving=saving, **fields))

    def _interrupted(self, number: int, frame: object) -> None:
        if self._armed:
            raise KeyboardInterrupt
        if self._fork:
            os.kill(self._fork, signal.SIGKILL)

    def _run(self, header: dict[str, Any], code: str) -> None:
        self._streams.open()
        tame_warnings()
        name = "<step %d>" % header["step"]
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        self._shown = Shown(header)
        error = None
        try:
            try:
                self._armed = True
                self._execute(code, name)
            finally:
                self._armed = False
        except BaseException as exc:
            self._armed = False
            error = describe(exc, name)
        flush()
        if os.getpid() != self._pid:
            # The block forked, and this is the fork: it must not go on as a second child of the supervisor.
            os._exit(int(error is not None))
        for picture in self._shown.images:
            write_all(self._say, encode("image", header["id"], picture))
        self._answer(header["id"], self._shown.result(error), error is not None)

    def _execute(self, code: str, name: str) -> None:
        tree = compile(code, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        body, last = list(tree.body), None
        if body and isinstance(body[-1], ast.Expr) and not _silent(body[-1], code):
            last = ast.Expression(body.pop().value)
        parts = [compile(ast.Module(body, []), name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)]
        if last is not None:
            parts.append(compile(last, name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        try:
            value = self._evaluate(parts)
            for node in body:
                self._remember(node)
            if value is not None:
                self._space["_"] = value
                self._shown.value(value)
        finally:
            self._shown.figures()

    def _evaluate(self, parts: list[types.CodeType]) -> object:
        """Return the last part's value. Only a block that awaits runs inside the event loop, so that `asyncio.run` works in the others."""
        if any(part.co_flags & CO_COROUTINE for part in parts):
            return self._wait_for(self._awaited(parts))
        value = None
        for part in parts:
            value = eval(part, self._space)
        return value

    async def _awaited(self, parts: list[types.CodeType]) -> object:
        value = None
        for part in parts:
            value = eval(part, self._space)
            if part.co_flags & CO_COROUTINE:
                value = await value
        return value

    def _wait_for(self, coroutine: Coroutine[Any, Any, object]) -> object:
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise

    def _remember(self, node: ast.stmt) -> None:
        """Keep what a snapshot replays: imports, definitions, named lambdas."""
        names: list[str] = []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            from ast import dump

            names = [dump(node)]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)][:1]
        for name in names:
            self._definitions.pop(name, None)
            self._definitions[name] = node

    def _snapshot(self, header: dict[str, Any], known: bytes) -> None:
        """Let a fork do it: state stays as it is, its memory is given back, and it can be killed.

        As soon as the fork has seen the working folder, code may go on: the fork's memory does not change with ours.
        """
        from . import state  # noqa: F401  # here, so that not every fork imports it anew

        out, into = os.pipe()
        report = b'{"error": "it took too long or too much memory."}'
        try:
            middle = os.fork()
        except OSError as exc:
            report = json.dumps({"error": "no process can be had for it: %s." % exc.strerror}).encode()
        else:
            if middle == 0:
                self._leave_saver(header, json.loads(known), into)
            try:
                os.waitpid(middle, 0)
            except ChildProcessError:
                # Code has chosen not to hear of its processes' ends.
                pass
        os.close(into)
        number = os.read(out, PID.size)
        self._fork = PID.unpack(number)[0] if number else 0
        seen = bool(os.read(out, 1))
        os.close(out)
        saver, self._fork = self._fork, 0
        self._answer(header["id"], b"" if seen else report, saving=saver if seen else 0)

    def _leave_saver(self, header: dict[str, Any], known: list[str], into: int) -> NoReturn:
        """Fork once more and end, so that the saver belongs to the supervisor: code that waits for its own processes never meets it."""
        try:
            if os.fork() == 0:
                os.write(into, PID.pack(os.getpid()))
                self._save(header, known, into)
        finally:
            os._exit(0)

    def _save(self, header: dict[str, Any], known: list[str], into: int) -> None:
        from . import state

        os.setpgid(0, 0)
        try:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")
        except OSError:
            pass
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        number = header["id"]
        send = lambda piece: write_all(self._save_to, encode("snapshot", number, piece))  # noqa: E731
        told = state.save(self._space, self._definitions, header["limit"], known, send, lambda: os.write(into, b"."))
        write_all(self._save_to, encode("saved", number, told))

    def _restore(self, header: dict[str, Any], body: bytes) -> None:
        from . import state

        self._streams.open()
        number, parts = header["id"], [bytearray(size) for size in header["sizes"]]
        room = [memoryview(part) for part in parts if part]
        while True:
            while body:
                taken = min(len(body), len(room[0]))
                room[0][:taken] = body[:taken]
                room[0], body = room[0][taken:], body[taken:]
                if not room[0]:
                    room.pop(0)
            if header["last"]:
                break
            header, body = self._next()
        self._armed = True
        try:
            report = state.load(self._space, parts, self._remember)
        except KeyboardInterrupt:
            report = b'{"error":"it took too long"}'
        finally:
            self._armed = False
        self._answer(number, report)


def _silent(node: ast.Expr, code: str) -> bool:
    """Whether a semicolon follows the last expression."""
    line = code.splitlines()[(node.end_lineno or 1) - 1].encode()
    return line[node.end_col_offset :].lstrip().startswith(b";")
