"""Pictures inside the terminal, where it is known to draw them: kitty's graphics protocol and iTerm2's inline images."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from enum import Enum

CELL_PIXELS = 10
"""Assumed width of a character cell; pictures are scaled to whole cells anyway."""
LARGEST_SIDE = 8192
"""Pixels; a larger picture is only linked, since the terminal would have to decode it."""
_CHUNK = 4096
"""Base64 bytes in one escape sequence, kitty's own maximum (sw.kovidgoyal.net/kitty/graphics-protocol)."""


class Protocol(Enum):
    """How a terminal takes pictures."""

    KITTY = "kitty"
    ITERM = "iterm"


def detect(environ: Mapping[str, str]) -> Protocol | None:
    """Tell from the environment which protocol the terminal has; None inside tmux and screen, which pass none through."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "TMUX" in environ or "STY" in environ or term.startswith(("screen", "tmux")) or term == "dumb":
        return None
    if environ.get("KITTY_WINDOW_ID") or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return Protocol.KITTY
    return Protocol.ITERM if program in ("iTerm.app", "WezTerm") else None


def size(png: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from a PNG's header; None where it is no PNG or beyond reason."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or len(png) < 24:
        return None
    width, height = struct.unpack(">II", png[16:24])
    return (width, height) if 0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE else None


def sequence(png: bytes, protocol: Protocol, columns: int) -> str | None:
    """Return the escape sequence that draws a PNG at most `columns` cells wide; None where it must not be drawn."""
    pixels = size(png)
    if pixels is None:
        return None
    cells = max(1, min(columns, pixels[0] // CELL_PIXELS))
    data = base64.b64encode(png).decode("ascii")
    if protocol is Protocol.ITERM:
        return f"\x1b]1337;File=inline=1;size={len(png)};width={cells};preserveAspectRatio=1:{data}\x07"
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    return "".join(_kitty(chunk, first=index == 0, more=index < len(chunks) - 1, cells=cells) for index, chunk in enumerate(chunks))


def _kitty(chunk: str, *, first: bool, more: bool, cells: int) -> str:
    keys = f"a=T,f=100,q=2,c={cells},m={int(more)}" if first else f"m={int(more)}"
    return f"\x1b_G{keys};{chunk}\x1b\\"
