"""Where conversations go on in Slack, and how an answer finds its way there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

PREFIX = "slack:"


class Way(StrEnum):
    """How the answer comes to its thread."""

    HERE = "here"
    """Post in this thread, or at the top of this direct message: the question can be seen there."""
    ASK = "ask"
    """The question came by a command: post it in this channel, and the answer in its thread."""
    SAY = "say"
    """The question came by a command in a direct message, or by a schedule made in a thread: post it there, and the answer below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where to post one answer; what `Incoming.place` holds."""

    way: Way
    channel: str
    thread: str = ""
    """Time stamp of the thread's first message; empty for the top of a direct message, and where there is none yet."""
    message: str = ""
    """Time stamp of the message that asks, where there is one."""

    def __str__(self) -> str:
        return f"{self.way}:{self.channel}:{self.thread}:{self.message}"

    @classmethod
    def parse(cls, text: str) -> Spot:
        """Read what `str` wrote."""
        way, channel, thread, message = text.split(":")
        return cls(way=Way(way), channel=channel, thread=thread, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The first post of an answer; what `Turn.reply` holds."""

    channel: str
    thread: str
    message: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.thread}:{self.message}"

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """Read what `str` wrote; None for an empty text."""
        if not text:
            return None
        channel, thread, message = text.split(":")
        return cls(channel=channel, thread=thread, message=message)


def place_of(team: str, channel: str, thread: str = "") -> str:
    """Name a place: a thread of a channel, or a direct message."""
    return f"{PREFIX}{team}:{channel}{':' if thread else ''}{thread}"


def message_id(channel: str, ts: str) -> str:
    """Name a message, however Slack announces it."""
    return f"{channel}:{ts}"


def time_of(ts: str) -> datetime:
    """Return the time of a message."""
    at = datetime.fromtimestamp(float(ts), UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
