"""The wire format between the host and a sandbox's worker, with the host's distrust built in.

A frame is 8 bytes (length of header, length of body, big-endian), a JSON header with `type` and `id`, and a raw body.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codeact_bot.errors import FileRefused, ProtocolViolated

PREFIX = struct.Struct(">II")
MAX_HEADER = 1024 * 1024
MAX_BODY = 16 * 1024 * 1024
CHUNK = 1024 * 1024
"""Bytes of a file or snapshot that travel in one frame."""
TYPES = frozenset(
    ("start", "run", "output", "image", "done", "interrupt", "put", "get", "list", "snapshot", "saved", "restore", "ping", "call", "return")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message between host and worker."""

    type: str
    id: int
    """Joins an answer to its request."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """The rest of the header; read it through the typed methods, which raise ProtocolViolated."""
    body: bytes = field(default=b"", repr=False)

    def text(self, name: str, *, limit: int = 64 * 1024) -> str:
        """Return a text field; empty where it is missing."""
        return text(self.fields.get(name, ""), limit)

    def count(self, name: str) -> int:
        """Return a field that counts something; 0 where it is missing."""
        return count(self.fields.get(name, 0))

    def flag(self, name: str) -> bool:
        """Return a yes-or-no field; False where it is missing."""
        value = self.fields.get(name, False)
        if not isinstance(value, bool):
            raise ProtocolViolated(f"The sandbox sent {name!r} that is neither true nor false.")
        return value

    def texts(self, name: str, *, most: int) -> tuple[str, ...]:
        """Return a field that lists texts; empty where it is missing."""
        return texts(self.fields.get(name, []), most)

    def sizes(self, name: str, *, most: int) -> tuple[tuple[str, int], ...]:
        """Return a field that lists file names with sizes; empty where it is missing."""
        return sizes(self.fields.get(name, []), most)


def text(value: object, limit: int) -> str:
    """Return `value` if it is text of at most `limit` characters that can be encoded. Raises ProtocolViolated."""
    if not isinstance(value, str) or len(value) > limit:
        raise ProtocolViolated("The sandbox sent something else where a text belongs, or too long a one.")
    return value.encode("utf-8", "replace").decode()


def count(value: object) -> int:
    """Return `value` if it is a whole number from 0 to 2**53. Raises ProtocolViolated."""
    if type(value) is not int or not 0 <= value <= 2**53:
        raise ProtocolViolated("The sandbox sent something else where a count belongs.")
    return value


def items(value: object, most: int) -> Sequence[object]:
    """Return `value` if it is a list of at most `most` items. Raises ProtocolViolated."""
    if not isinstance(value, list) or len(value) > most:
        raise ProtocolViolated("The sandbox sent something else where a list belongs, or too long a one.")
    return value


def texts(value: object, most: int) -> tuple[str, ...]:
    """Return `value` if it is a list of texts. Raises ProtocolViolated."""
    return tuple(text(part, 4096) for part in items(value, most))


def sizes(value: object, most: int) -> tuple[tuple[str, int], ...]:
    """Return `value` as pairs of a valid file name and a size. Raises ProtocolViolated."""
    pairs = []
    for pair in items(value, most):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ProtocolViolated("The sandbox sent a list of files that is none.")
        name = text(pair[0], 4096)
        if refusal(name):
            raise ProtocolViolated("The sandbox sent a file name that is not allowed.")
        pairs.append((name, count(pair[1])))
    return tuple(pairs)


def document(body: bytes) -> Mapping[str, object]:
    """Parse a body that holds a JSON object. Raises ProtocolViolated."""
    value = parse(body)
    if not isinstance(value, dict):
        raise ProtocolViolated("The sandbox sent a result that is no JSON object.")
    return value


def parse(data: bytes) -> object:
    """Parse JSON. Raises ProtocolViolated."""
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise ProtocolViolated("The sandbox sent something that is not JSON.") from exc


def encode(frame: Frame) -> bytes:
    """Return the frame's bytes."""
    header = json.dumps({**frame.fields, "type": frame.type, "id": frame.id}, separators=(",", ":")).encode()
    return PREFIX.pack(len(header), len(frame.body)) + header + frame.body


class Decoder:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Sequence[Frame]:
        """Take in bytes and return the frames that they complete. Raises ProtocolViolated."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if len(self._buffer) < PREFIX.size:
            return None
        header, body = PREFIX.unpack_from(self._buffer)
        if header > MAX_HEADER or body > MAX_BODY:
            raise ProtocolViolated("The sandbox announced a frame that is too large.")
        start, end = PREFIX.size + header, PREFIX.size + header + body
        if len(self._buffer) < end:
            return None
        fields = dict(document(bytes(self._buffer[PREFIX.size : start])))
        content = bytes(self._buffer[start:end])
        del self._buffer[:end]
        kind, number = fields.pop("type", None), fields.pop("id", None)
        if not isinstance(kind, str) or kind not in TYPES:
            raise ProtocolViolated("The sandbox sent a frame of an unknown type.")
        return Frame(type=kind, id=count(number), fields=fields, body=content)


def refusal(name: str) -> str:
    """Say what is wrong with a file's name; empty where nothing is."""
    parts = name.split("/")
    if not name or name.startswith("/"):
        return "a file's name must be relative to the working folder"
    if any(part in ("", ".", "..") for part in parts):
        return "a file's name must not hold empty parts, `.` or `..`"
    if not name.isprintable() or "\\" in name:
        return "a file's name must not hold control characters, line breaks or backslashes"
    if any(len(part.encode("utf-8", "replace")) > 255 for part in parts) or len(name) > 4096:
        return "a file's name must not be longer than 255 bytes"
    return ""


def check_name(name: str) -> str:
    """Return the name. Raises FileRefused."""
    if reason := refusal(name):
        raise FileRefused(f"The file {name[:80]!r} was refused: {reason}.")
    return name
