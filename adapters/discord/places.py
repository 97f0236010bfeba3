"""Where conversations go on in Discord, and how an answer finds its way there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from codeact_bot.types import ThreadId

PREFIX = "discord:"
DIRECT = "@me"


class Way(StrEnum):
    """How the answer comes to its channel."""

    HERE = "here"
    """Post in this channel: the question can be seen there."""
    FROM = "from"
    """Make a thread from the question's message, and post there."""
    ASK = "ask"
    """The question came by a command: post it in this channel, make a thread from that, and post there."""
    SAY = "say"
    """The question came by a command inside a thread or direct message: post it there, and the answer below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where to post one answer; what `Incoming.place` holds."""

    way: Way
    channel: int
    message: int = 0
    """The message, the command or the press that asks: whatever answers it has a greater id. None for what a schedule asks."""

    def __str__(self) -> str:
        return f"{self.way}:{self.channel}:{self.message}"

    @classmethod
    def parse(cls, text: str) -> Spot:
        """Read what `str` wrote."""
        way, channel, message = text.split(":")
        return cls(way=Way(way), channel=int(channel), message=int(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The first post of an answer; what `Turn.reply` holds."""

    channel: int
    message: int

    def __str__(self) -> str:
        return f"{self.channel}:{self.message}"

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """Read what `str` wrote; None for an empty text."""
        if not text:
            return None
        channel, message = text.split(":")
        return cls(channel=int(channel), message=int(message))


def place_of(guild: int | None, channel: int) -> str:
    """Name a place: a thread or channel of a guild, or a direct message."""
    return f"{PREFIX}{guild or DIRECT}:{channel}"


def guild_of(thread: ThreadId) -> int | None:
    """Return the guild that a conversation was begun in; None for direct messages."""
    guild = thread.split(":")[1]
    return None if guild == DIRECT else int(guild)
