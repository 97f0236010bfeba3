"""Conversations, and which of them to list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from codeact_bot.types.ids import ThreadId
from codeact_bot.types.turn import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A conversation, as a list of conversations shows it."""

    id: ThreadId
    title: str
    """The beginning of the first message."""
    participants: tuple[str, ...]
    """Names of the people who wrote in it."""
    turns: int
    created: datetime
    updated: datetime
    opened: int = 0
    """Turns that were ever begun in it, those undone since included: it only grows."""
    people: tuple[str, ...] = ()
    """Ids of the people who wrote in it."""
    running: bool = False
    """Whether a message waits in it, or is being answered."""
    ending: Ending | None = None
    """How its last turn ended."""
    permitted: tuple[str, ...] = ()
    """Ids of the people who may stop and retry other people's questions in it."""
    hold: bool = False
    """Whether it is on legal hold: nothing of it is removed, whatever retention or a person asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which conversations to list, the last active first; an empty field does not restrict."""

    text: str = ""
    """Beginnings of words of the questions and of the names of those who asked, all of which it must have."""
    prefix: str = ""
    """Beginning of its id: `slack:`."""
    running: bool = False
    """Only those in which a message waits, or is being answered."""
    ending: Ending | None = None
    """Only those that rest after a turn that ended so."""
    person: str = ""
    """Id of somebody who wrote in it, or is permitted to."""
    after: tuple[datetime, ThreadId] | None = None
    """Last activity and id of the one before the first to be listed."""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A conversation that goes on from an earlier point of another."""

    thread: ThreadId
    turns: int
    """How many of the other's turns it has."""
    whole: bool = True
    """False where code ran in those turns, and its variables and files of then are no longer kept."""
