"""A snapshot's parts, as they come from a sandbox and go into one; what they hold is none of the host's business."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

from codeact_bot.errors import FileRefused, ProtocolViolated
from codeact_bot.sandbox.results import MESSAGE, NAMES
from codeact_bot.sandbox.wire import CHUNK, Frame, count, document, items, text, texts
from codeact_bot.types import Part, Snapshot

PARTS = 1000
"""Parts of one snapshot at most."""


class Arriving:
    """A snapshot that arrives: the bytes of its parts, and what they are."""

    def __init__(self, limit: int) -> None:
        self.saved: Frame | None = None
        """The last frame of it, which holds the report."""
        self._data = bytearray()
        self._limit = limit

    def take(self, frame: Frame) -> None:
        """Take in the next frame. Raises FileRefused beyond the limit."""
        if frame.type == "saved":
            self.saved = frame
        self._data += frame.body if frame.type == "snapshot" else b""
        if len(self._data) > self._limit:
            raise FileRefused(f"The state of the sandbox is larger than {self._limit:,} bytes and was not kept.")

    def snapshot(self, known: Collection[str]) -> Snapshot:
        """Make the snapshot of it. Raises FileRefused where there is none, ProtocolViolated."""
        assert self.saved is not None
        check(self.saved)
        report = document(self.saved.body)
        found = parts(report.get("parts", []), self._data, known)
        return Snapshot(parts=found, names=texts(report.get("names", []), NAMES), dropped=texts(report.get("dropped", []), NAMES))


def check(frame: Frame) -> None:
    """Raise FileRefused where a frame says why there is no snapshot."""
    report = document(frame.body) if frame.body else {}
    if error := text(report.get("error", frame.text("message")), MESSAGE):
        raise FileRefused(f"The state of the sandbox could not be kept: {error}")


def parts(report: object, data: bytes | bytearray, known: Collection[str]) -> tuple[Part, ...]:
    """Cut the bytes that came into the parts that were announced as [size, digest, sent].

    Raises ProtocolViolated where bytes and announcement do not agree, or where a part is neither sent nor known.
    """
    found: list[Part] = []
    offset, view = 0, memoryview(data)
    for item in items(report, PARTS):
        size, digest, sent = items(item, 3) if isinstance(item, list) and len(item) == 3 else (None, None, None)
        name, length = text(digest, 64), count(size)
        content = bytes(view[offset : offset + length]) if sent else None
        if content is None and name not in known:
            raise ProtocolViolated("The sandbox left a part of its state out that was never sent.")
        if content is not None and (len(content) != length or hashlib.sha256(content).hexdigest() != name):
            raise ProtocolViolated("The sandbox sent a state that is not what it announced.")
        offset += length if sent else 0
        found.append(Part(size=length, digest=name, data=content))
    if offset != len(data):
        raise ProtocolViolated("The sandbox sent more state than it announced.")
    return tuple(found)


def pieces(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the bytes of all parts in pieces that fit a frame. Raises FileRefused where some are not here."""
    for part in snapshot.parts:
        if part.data is None:
            raise FileRefused("A part of the state is not here: load it from the store first.")
        for start in range(0, part.size, CHUNK):
            yield part.data[start : start + CHUNK]
