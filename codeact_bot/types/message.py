"""What people and schedules send, and who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from codeact_bot.types.file import File
from codeact_bot.types.ids import ThreadId
from codeact_bot.types.moment import now


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who sent a message."""

    id: str
    """The platform's own id of the person."""
    name: str
    """What to call them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """Why a message came by itself: the schedule that sent it."""

    schedule: str
    """The schedule's id."""
    said: str
    """When it runs, in words: `every weekday at 09:00 (Europe/Berlin)`."""
    due: datetime
    note: str = ""
    """A sentence on runs that were missed or late, for the person; empty where there were none."""
    skipped: bool = False
    """Whether this run is only told of and not made: it comes too late, or its maker may not use the bot any more."""


class Kind(StrEnum):
    """What is to be done with a message."""

    QUESTION = "question"
    """The model answers it."""
    REBUILD = "rebuild"
    """The conversation's recorded code is run again, in a new sandbox, and the model is not asked."""
    APPROVAL = "approval"
    """It says yes or no to code that the turn before it wants to run; after a yes that code runs, and the model goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a person says to code that a turn wants to run."""

    turn: str
    """The turn's id."""
    digest: str
    """SHA-256 of the code, hexadecimal: the answer is for this code and no other."""
    yes: bool
    asker: Author
    """Who asked the question that the code is to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What a person sent, or a schedule of theirs."""

    id: str
    """The platform's event id, unique within its platform: a second one with the same id is a redelivery."""
    thread: ThreadId
    author: Author
    text: str
    files: tuple[File, ...] = ()
    at: datetime = field(default_factory=now)
    place: str = ""
    """Where the answer is to be posted, in the adapter's own words; opaque to the core."""
    fire: Fire | None = None
    """The schedule that sent it; None for what a person sent."""
    kind: Kind = Kind.QUESTION
    approval: Approval | None = None
    """What it says, where its kind is `approval`."""
    via: str = ""
    """Where it was asked, in words, when that is not where the answer is posted, so that it has to be repeated there: `the web chat`."""

    @property
    def asker(self) -> Author:
        """Who asked what is being answered: the author, or of an approval the author of the question."""
        return self.approval.asker if self.approval else self.author
