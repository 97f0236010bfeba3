"""The process that owns the protocol. It survives the code, whatever that does."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from . import libc
from .folder import Folder
from .frames import CHUNK, MAX_BODY, decode, encode, size_text
from .job import AGAIN, Job
from .offspring import Offspring
from .processes import end_newer, oom_kills, send, signal_name
from .saving import LOOK, Saving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

QUEUE = 1024 * 1024
"""Bytes that may wait for the host before the code's output is no longer read."""
REST = 2
"""Milliseconds for which small pieces of output are left to gather."""
LISTED = 1000
NAMES = 200


def main() -> None:
    """Serve the host on descriptors 0 and 1; with a user id as argument, as that user."""
    if len(sys.argv) > 1:
        uid = int(sys.argv[1])
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    Supervisor().serve()


class Supervisor:
    """Relays between the host and the child, and serves files. Everything else in the sandbox may be hostile."""

    def __init__(self) -> None:
        self._requests, self._out = bytearray(), bytearray()
        self._config: dict[str, Any] = {}
        self._job: Job | None = None
        self._steps = 0
        self._rest = 0.0
        self._names: list[str] = []
        self._loss: list[str] | None = None
        self._woken, wake = os.pipe()
        for fd in (0, 1, self._woken, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        libc.prctl(libc.SET_DUMPABLE, 0)
        libc.prctl(libc.SET_CHILD_SUBREAPER, 1)
        self._saving = Saving(self._send)
        self._folder, self._child = Folder(), Offspring(self._config, self._saving.say)
        self._kills = oom_kills()

    def serve(self) -> None:
        """Work until the host hangs up."""
        while True:
            poll = select.poll()
            poll.register(self._woken, select.POLLIN)
            if len(self._child.orders) <= MAX_BODY:
                poll.register(0, select.POLLIN)
            if self._out:
                poll.register(1, select.POLLOUT)
            if self._child.orders:
                poll.register(self._child.order, select.POLLOUT)
            wait, now = None, time.monotonic()
            if self._job is not None:
                wait = max(0, int((self._job.due() - now) * 1000) + 1)
            if self._saving.number and len(self._out) <= QUEUE:
                poll.register(self._saving.said, select.POLLIN)
            if self._saving.pid:
                wait = LOOK if wait is None else min(wait, LOOK)
            if self._child.pid and len(self._out) <= QUEUE:
                poll.register(self._child.heard, select.POLLIN)
                # Between steps output stays in the pipe: it belongs to the next step.
                if self._job is not None and self._job.kind != "snapshot":
                    if now >= self._rest:
                        poll.register(self._child.printed, select.POLLIN)
                    else:
                        wait = REST if wait is None else min(wait, REST)
            self._attend({fd for fd, _ in poll.poll(wait)})

    def _attend(self, ready: set[int]) -> None:
        if self._child.printed in ready and self._take_output(CHUNK) < CHUNK // 4:
            self._rest = time.monotonic() + REST / 1000
        if self._child.heard in ready and not self._child.hear(self._relay):
            self._child.destroy()
            self._bury()
        if self._saving.said in ready:
            self._saving.hear()
        if self._woken in ready:
            os.read(self._woken, 4096)
            self._bury()
        self._saving.check()
        if 0 in ready:
            self._take_requests()
        if self._child.orders:
            self._child.push()
        if self._job is not None:
            self._watch_clock(self._job)
        if self._out:
            self._push_out()

    def _leave(self) -> None:
        self._child.destroy()
        os._exit(0)

    def _send(self, kind: str, number: int, body: bytes = b"", **fields: object) -> None:
        self._out += encode(kind, number, body, **fields)

    def _push_out(self) -> None:
        try:
            with memoryview(self._out) as view:
                sent = os.write(1, view)
            del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._leave()

    def _take_requests(self) -> None:
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._leave()
        self._requests += data
        frame = decode(self._requests)
        while frame is not None:
            self._obey(*frame)
            frame = decode(self._requests)

    def _obey(self, header: dict[str, Any], body: bytes) -> None:
        kind, number = header["type"], header["id"]
        if kind == "start":
            self._config.update(header)
            if not self._child.spawn():
                self._leave()
            self._send("start", number, python=sys.version.split()[0])
        elif kind == "interrupt":
            if self._job is not None and self._job.number == header["target"] and not self._job.reason:
                self._interrupt(self._job, "stopped")
            elif header["target"] == self._saving.number:
                self._saving.stop()
        elif kind == "ping":
            self._send("ping", number)
        elif kind in ("put", "get", "list"):
            self._serve_file(kind, number, header, body)
        elif kind == "return":
            self._child.orders += encode("return", number, body)
        elif kind in ("run", "snapshot", "restore"):
            self._employ(header, body)

    def _serve_file(self, kind: str, number: int, header: dict[str, Any], body: bytes) -> None:
        try:
            if kind == "put":
                self._folder.write(header["name"], body, header["offset"], header["last"])
                self._send("put", number)
            elif kind == "get":
                data, size = self._folder.read(header["name"], header["offset"], header["size"])
                self._send("get", number, data, size=size)
            else:
                self._send("list", number, json.dumps(self._folder.listing()[:LISTED]).encode())
        except (OSError, ValueError) as exc:
            self._send(kind, number, error=getattr(exc, "strerror", None) or str(exc))

    def _employ(self, header: dict[str, Any], body: bytes) -> None:
        """Hand work to the child; a restore comes in pieces, of which the last is answered."""
        if self._job is None:
            self._job = Job(header)
            self._steps += header["type"] == "run"
            if self._job.kind == "snapshot":
                self._saving.begin(self._job.number, self._job.deadline)
        fields = {key: value for key, value in header.items() if key not in ("type", "id")}
        self._child.orders += encode(header["type"], header["id"], body, step=self._steps, **fields)

    def _take_output(self, limit: int) -> int:
        data = self._child.read_output(limit)
        if data and self._job is not None:
            head = self._job.keep(data)
            if head:
                self._send("output", self._job.number, head)
        return len(data)

    def _drain(self) -> None:
        """Take what the code had written by now, and no more: a thread may print for ever."""
        left = self._child.waiting_output()
        while left > 0:
            taken = self._take_output(min(left, CHUNK))
            if not taken:
                return
            left -= taken

    def _relay(self, header: dict[str, Any], body: bytes) -> None:
        """Pass on what the child says about the job, and nothing else."""
        job, kind = self._job, header["type"]
        if job is None or header["id"] != job.number:
            return
        if kind in ("image", "call") and job.kind == "run":
            self._send(kind, job.number, body)
        elif kind == "done":
            names = header.get("names")
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                self._names = [name[:100] for name in names[:NAMES]]
            if job.reason and not end_newer(self._child.pid, job.born):
                self._child.destroy()
                return
            if job.kind == "snapshot" and not job.reason and not body and type(header.get("saving")) is int and header["saving"] > 0:
                self._saving.go_on(header["saving"])
            elif job.kind == "snapshot":
                self._saving.forget()
            self._finish(job, body, "error" if header.get("failed") else "ok")

    def _finish(self, job: Job, body: bytes, status: str, message: str = "", lost: bool = False) -> None:
        """Answer the job, everything it printed first."""
        fields: dict[str, object] = {"status": job.reason or status, "message": message}
        if job.kind == "run":
            self._drain()
            tail = job.tail()
            if tail:
                self._send("output", job.number, tail, cut=job.cut)
            changed = self._folder.changed()
            gone = sorted({*self._names, *(self._loss or ())}) if lost else self._loss
            fields.update(state_lost=gone is not None, lost=(gone or [])[:NAMES], files=changed[: job.files])
            fields.update(more_files=max(0, len(changed) - job.files), seconds=time.monotonic() - job.began)
            self._loss = None
        elif lost:
            self._loss = self._names
            self._saving.forget()
        self._names = [] if lost else self._names
        self._send("done", job.number, body, **fields)
        self._job = None

    def _watch_clock(self, job: Job) -> None:
        now = time.monotonic()
        if not job.reason:
            if now >= job.deadline:
                self._interrupt(job, "timeout")
        elif now >= job.kill_at:
            self._child.destroy()
            self._bury()
        elif now >= job.again:
            job.again = now + AGAIN
            # From the second time on, what the code waits for is interrupted too, as by Ctrl-C in a terminal.
            send(-self._child.pid, signal.SIGINT)

    def _interrupt(self, job: Job, reason: str) -> None:
        job.stop(reason)
        send(self._child.pid, signal.SIGINT)

    def _bury(self) -> None:
        """Where the child has died, hear its last words, say how it died, and start another."""
        self._child.reap()
        if self._child.death is None:
            return
        self._child.destroy()
        while self._child.hear(self._relay) and self._job is not None and select.select([self._child.heard], [], [], 0)[0]:
            pass
        message = self._obituary(self._child.death)
        if self._job is not None:
            self._finish(self._job, b"", "killed", message, lost=True)
        else:
            self._loss, self._names = self._names, []
        self._child.forget()
        if not self._child.spawn():
            self._leave()

    def _obituary(self, how: int) -> str:
        before, self._kills = self._kills, oom_kills()
        if os.WIFEXITED(how):
            return "The code ended the Python process with exit code %d." % os.WEXITSTATUS(how)
        number = os.WTERMSIG(how)
        if number == signal.SIGKILL and self._kills > before:
            limit = self._config.get("memory", 0)
            return "The code ran out of memory and was killed%s." % (": the limit is " + size_text(limit) if limit else "")
        return "The Python process was killed by signal %s." % signal_name(number)
