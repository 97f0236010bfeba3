"""The reasoning that some servers send inside the reply, `<think>…</think>` before everything else: neither said nor done."""

from __future__ import annotations

import re

_OPENING = re.compile(r"\s*<(think(?:ing)?)>", re.IGNORECASE)
_MAY_OPEN = re.compile(r"\s*(?:<(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g)?)?)?)?)?)?)?)?)?", re.IGNORECASE)


class ReasoningFilter:
    """Passes a reply on as it streams, without the reasoning at its beginning and the white space after it."""

    def __init__(self) -> None:
        self.unfinished = False
        """Whether we are inside the reasoning."""
        self._closing = ""
        self._held = ""
        self._passing = False

    def feed(self, delta: str) -> str:
        """Take the next piece; return what of the reply is certain to be no reasoning."""
        if self._passing:
            return delta
        self._held += delta
        while self._skip() or self._enter():
            pass
        if self.unfinished or _MAY_OPEN.fullmatch(self._held):
            return ""
        self._passing = True
        return self._rest()

    def end(self) -> str:
        """The stream has ended; return what was held back, which is nothing where the reasoning did not end."""
        return "" if self.unfinished else self._rest()

    def _enter(self) -> bool:
        opening = None if self.unfinished else _OPENING.match(self._held)
        if opening is None:
            return False
        self.unfinished, self._closing, self._held = True, f"</{opening[1].lower()}>", self._held[opening.end() :]
        return True

    def _skip(self) -> bool:
        if not self.unfinished:
            return False
        at = self._held.lower().find(self._closing)
        self.unfinished = at < 0
        self._held = self._held[1 - len(self._closing) :] if self.unfinished else self._held[at + len(self._closing) :]
        return not self.unfinished

    def _rest(self) -> str:
        held, self._held = self._held, ""
        return held.lstrip() if self._closing else held


def without_reasoning(text: str) -> str:
    """Return a whole reply without the reasoning at its beginning."""
    reader = ReasoningFilter()
    return reader.feed(text) + reader.end()
