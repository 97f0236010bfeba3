"""What is kept how long, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codeact_bot.types.ids import ThreadId


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long answered questions are kept, in days; 0 keeps them for ever."""

    days: float = 0.0
    """On platforms that `platforms` does not name."""
    platforms: Mapping[str, float] = field(default_factory=dict)
    """By platform: `{"slack": 90, "discord": 30}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed for good; adds up with `+`."""

    turns: int = 0
    messages: int = 0
    """Messages that waited for an answer."""
    threads: int = 0
    """Conversations of which nothing is left."""
    records: int = 0
    """Records of the audit whose content was removed."""
    held: tuple[ThreadId, ...] = ()
    """Conversations that were let be, since they are on legal hold."""
    busy: tuple[ThreadId, ...] = ()
    """Conversations that were let be, since a question is being answered in them."""

    def __add__(self, other: Erased) -> Erased:
        return Erased(
            turns=self.turns + other.turns,
            messages=self.messages + other.messages,
            threads=self.threads + other.threads,
            records=self.records + other.records,
            held=tuple(dict.fromkeys((*self.held, *other.held))),
            busy=tuple(dict.fromkeys((*self.busy, *other.busy))),
        )
