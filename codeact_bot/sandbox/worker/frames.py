"""Frames of the wire format, as the worker reads and writes them, and small things that both its processes use."""

from __future__ import annotations

import json
import os
import struct

TYPE_CHECKING = False  # as in all modules here: importing `typing` would slow every start down
if TYPE_CHECKING:
    from typing import Any

PREFIX = struct.Struct(">II")
MAX_HEADER = 1024 * 1024
MAX_BODY = 16 * 1024 * 1024
CHUNK = 256 * 1024


def encode(kind: str, number: int, body: bytes = b"", **fields: object) -> bytes:
    """Return the bytes of a frame."""
    header = json.dumps(dict(fields, type=kind, id=number), separators=(",", ":")).encode()
    return PREFIX.pack(len(header), len(body)) + header + body


def decode(buffer: bytearray) -> tuple[dict[str, Any], bytes] | None:
    """Take the first whole frame off `buffer`; None where there is none. Raises ValueError, RecursionError."""
    if len(buffer) < PREFIX.size:
        return None
    head, body = PREFIX.unpack_from(buffer)
    if head > MAX_HEADER or body > MAX_BODY:
        raise ValueError("a frame is too large")
    end = PREFIX.size + head + body
    if len(buffer) < end:
        return None
    header = json.loads(bytes(buffer[PREFIX.size : PREFIX.size + head]).decode())
    if not isinstance(header, dict) or not isinstance(header.get("type"), str) or type(header.get("id")) is not int:
        raise ValueError("a frame has no type or id")
    content = bytes(buffer[PREFIX.size + head : end])
    del buffer[:end]
    return header, content


def write_all(fd: int, data: bytes) -> None:
    """Write everything to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def size_text(size: float) -> str:
    """Return a number of bytes as people write it: `1 GB`."""
    unit = 0
    while size >= 1024 and unit < 4:
        size, unit = size / 1024, unit + 1
    return "%.4g %s" % (size, ("bytes", "KB", "MB", "GB", "TB")[unit])
