"""Frames of one run, checked and put together to an Execution."""

from __future__ import annotations

import codecs
import time
from collections.abc import Mapping, Sequence

from codeact_bot.errors import ProtocolViolated
from codeact_bot.ports import Printed
from codeact_bot.sandbox.wire import Frame, count, document, items, text
from codeact_bot.types import Bounds, CodeError, Execution, File, Status, Table

NAMES = 200
MESSAGE = 64 * 1024
CELL = 1024
ENDINGS = {"ok": Status.OK, "error": Status.ERROR, "timeout": Status.TIMEOUT, "killed": Status.KILLED, "stopped": Status.STOPPED}


class Collector:
    """Takes in the frames that answer one run. Raises ProtocolViolated for any that does not fit the bounds."""

    def __init__(self, bounds: Bounds, printed: Printed) -> None:
        self.number = 0
        self.muted = False
        self.failure: Exception | None = None
        """What `printed` raised."""
        self.changed: Sequence[tuple[str, int]] = ()
        self._bounds, self._printed = bounds, printed
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text: list[str] = []
        self._bytes = self._cut = 0
        self._images: list[File] = []
        self._done = Frame(type="done", id=0)
        self._began = time.monotonic()

    def mute(self) -> None:
        """Show no more output to anybody."""
        self.muted = True

    async def take(self, frame: Frame) -> bool:
        """Take in a frame; returns True after the last."""
        if frame.type == "output":
            await self._output(frame)
        elif frame.type == "image":
            self._image(frame.body)
        elif frame.type == "done":
            await self._show(self._decoder.decode(b"", final=True))
            self.changed = frame.sizes("files", most=self._bounds.files)
            self._done = frame
            return True
        else:
            raise ProtocolViolated(f"The sandbox answered a run with {frame.type!r}.")
        return False

    async def _output(self, frame: Frame) -> None:
        self._bytes += len(frame.body)
        if self._bytes > self._bounds.output:
            raise ProtocolViolated("The sandbox sent more output than was asked for.")
        data, cut = frame.body, frame.count("cut")
        if cut and not self._cut:
            # A character that the cut halved counts as cut, on both sides.
            half = len(self._decoder.getstate()[0])
            self._decoder.reset()
            start = next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
            self._cut, data = cut + half + start, data[start:]
            await self._show(f"\n[… {self._cut:,} bytes of output left out …]\n")
        await self._show(self._decoder.decode(data))

    async def _show(self, piece: str) -> None:
        if not piece:
            return
        self._text.append(piece)
        if not self.muted:
            try:
                await self._printed(piece)
            except Exception as exc:
                self.failure = exc

    def _image(self, body: bytes) -> None:
        if len(self._images) >= self._bounds.images or len(body) > self._bounds.image_bytes:
            raise ProtocolViolated("The sandbox sent more images than were asked for.")
        self._images.append(File.of(f"figure-{len(self._images) + 1}.png", body))

    def execution(self, files: tuple[File, ...], notes: tuple[str, ...]) -> Execution:
        """Return what came of the run. Raises ProtocolViolated."""
        done, result = self._done, document(self._done.body) if self._done.body else {}
        if (status := ENDINGS.get(done.text("status"))) is None:
            raise ProtocolViolated("The sandbox sent an unknown status.")
        state_lost, killed = done.flag("state_lost"), not done.body
        said = [text(note, MESSAGE) for note in items(result.get("notes", []), 100)]
        if more := done.count("more_files"):
            said.append(f"{more:,} more new or changed files were left out: {self._bounds.files} come back with one step.")
        if state_lost and not killed:
            said.append("The Python process had died between the last step and this one, so the variables of earlier steps are gone.")
        value = result.get("value")
        return Execution(
            status=status,
            output="".join(self._text),
            cut=self._cut,
            value=None if value is None else text(value, self._bounds.value),
            error=_death(status, done.text("message"), self._seconds()) if killed else _error(result.get("error"), status, self._seconds()),
            tables=tuple(self._table(table) for table in items(result.get("tables", []), self._bounds.tables)),
            images=tuple(self._images),
            files=files,
            notes=(*said, *notes),
            lost=done.texts("lost", most=NAMES),
            state_lost=state_lost,
            seconds=self._seconds(),
        )

    def lost(self, reason: str) -> Execution:
        """Return what is left to say when the sandbox has gone."""
        error = CodeError(type="SandboxLost", message=reason)
        return Execution(
            status=Status.LOST,
            output="".join(self._text),
            cut=self._cut,
            error=error,
            images=tuple(self._images),
            state_lost=True,
            seconds=time.monotonic() - self._began,
        )

    def _seconds(self) -> float:
        seconds = self._done.fields.get("seconds")
        if not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
            raise ProtocolViolated("The sandbox sent a duration that is none.")
        return float(seconds)

    def _table(self, value: object) -> Table:
        table = _object(value)
        columns = _cells(table.get("columns"), self._bounds.table_columns + 1)
        rows = tuple(_cells(row, len(columns)) for row in items(table.get("rows"), self._bounds.table_rows))
        if any(len(row) != len(columns) for row in rows):
            raise ProtocolViolated("The sandbox sent a table whose rows do not fit its columns.")
        return Table(columns=columns, rows=rows, total_rows=count(table.get("total_rows")), total_columns=count(table.get("total_columns")))


def _death(status: Status, message: str, seconds: float) -> CodeError:
    """Say how a process ended that could say nothing itself any more."""
    if status is Status.TIMEOUT:
        return CodeError(type="TimeoutError", message=f"The code did not react to an interrupt after {seconds:.1f} s and was killed.")
    if status is Status.STOPPED:
        return CodeError(type="KeyboardInterrupt", message="The code was stopped; it did not react to an interrupt and was killed.")
    return CodeError(type="ProcessKilled", message=message)


def _error(value: object, status: Status, seconds: float) -> CodeError | None:
    if value is None:
        if status is Status.TIMEOUT:
            return CodeError(type="TimeoutError", message=f"The code was interrupted after {seconds:.1f} s.")
        return None
    error = _object(value)
    kind, message = text(error.get("type"), CELL), text(error.get("message"), MESSAGE)
    if kind == "KeyboardInterrupt" and status in (Status.TIMEOUT, Status.STOPPED):
        kind = "TimeoutError" if status is Status.TIMEOUT else kind
        message = message or (f"The code was interrupted after {seconds:.1f} s." if status is Status.TIMEOUT else "The code was stopped.")
    line = error.get("line")
    trace = text(error.get("traceback"), MESSAGE)
    return CodeError(type=kind, message=message, traceback=trace, line=None if line is None else count(line))


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ProtocolViolated("The sandbox sent something else where an object belongs.")
    return value


def _cells(value: object, most: int) -> tuple[str, ...]:
    return tuple(text(part, CELL) for part in items(value, most))
