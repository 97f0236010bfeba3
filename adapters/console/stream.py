"""Text that arrives in pieces: prose split into finished Markdown blocks, output split into lines."""

from __future__ import annotations

import re

from adapters.render import after_return, clean

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
LONGEST_LINE = 4000
"""Characters of one output line that are shown."""
LINES_SHOWN = 40
"""Output lines of one step that scroll by; the rest is counted and saved."""
LAST_SHOWN = 3


class Prose:
    """Collects streamed Markdown and hands out whole blocks, so that each is rendered once, complete."""

    def __init__(self) -> None:
        self._rest = ""
        self._told = ""

    @property
    def rest(self) -> str:
        """What is not handed out yet."""
        return self._rest

    @property
    def told(self) -> str:
        """Everything of this step so far."""
        return self._told

    def add(self, text: str) -> str:
        """Take a piece; return the blocks that are complete now, empty where none is."""
        self._told += text
        self._rest += text
        end = _blocks_end(self._rest)
        done, self._rest = self._rest[:end], self._rest[end:]
        return done.strip("\n")

    def flush(self) -> str:
        """Return what is left, and begin anew."""
        rest = self._rest.strip("\n")
        self._rest = self._told = ""
        return rest


def _blocks_end(text: str) -> int:
    """Find the end of the last blank line outside fences and lists; lists stay whole, so that their numbers go on."""
    fence, end, at, listed = "", 0, 0, False
    for line in text.splitlines(keepends=True):
        at += len(line)
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif fence and mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        elif not fence and line.strip():
            listed = bool(re.match(r"\s*([-*+]|\d+[.)])\s", line)) or (listed and line.startswith(" "))
        elif not fence and not listed and line.endswith("\n"):
            end = at
    return end


class Printed:
    """Collects output and hands out clean whole lines, the first `LINES_SHOWN` of a step."""

    def __init__(self) -> None:
        self._rest = ""
        self._last: list[str] = []
        self._shown = 0
        self.heard = False
        """Whether anything came at all."""
        self.hidden = 0
        """Lines held back."""

    def add(self, text: str) -> list[str]:
        """Take a piece; return the lines that are to be printed now."""
        self.heard = True
        *lines, rest = (self._rest + text).replace("\r\n", "\n").split("\n")
        self._rest = rest if len(rest) <= 2 * LONGEST_LINE else rest[:LONGEST_LINE] + rest[-LONGEST_LINE:]
        fresh = lines[: LINES_SHOWN - self._shown]
        self._shown += len(fresh)
        held = lines[len(fresh) :]
        self.hidden += len(held)
        self._last = [*self._last, *held[-LAST_SHOWN:]][-LAST_SHOWN:]
        return [_shown(line) for line in fresh]

    @property
    def tail(self) -> list[str]:
        """The last lines, for the live part of the screen."""
        return [_shown(line) for line in [*self._last, self._rest] if line]

    def flush(self) -> list[str]:
        """Return what ends the step's output: how much was held back, its last lines, the unfinished line."""
        rest = [self._rest] if after_return(self._rest).strip() else []
        left_out = self.hidden - len(self._last)
        return ([f"… {left_out:,} more lines"] if left_out > 0 else []) + [_shown(line) for line in [*self._last, *rest]]


def _shown(line: str) -> str:
    text = clean(after_return(line))
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}… {len(text) - LONGEST_LINE:,} more characters"
