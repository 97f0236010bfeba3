"""What happened, on record, in a chain that shows if anything was changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from codeact_bot.types.file import File
from codeact_bot.types.ids import ThreadId
from codeact_bot.types.message import Author
from codeact_bot.types.moment import now
from codeact_bot.types.usage import Usage


class Deed(StrEnum):
    """What a record of the audit is about."""

    ASKED = "asked"
    REQUESTED = "requested"
    """The model was asked for a step."""
    CODE = "code"
    """Code began to run."""
    RESULT = "result"
    """Code came to its end."""
    ENDED = "ended"
    """A turn came to its end."""
    STOPPED = "stopped"
    """Somebody stopped a turn."""
    TOOL = "tool"
    """Code called a tool of the host."""
    APPROVED = "approved"
    """Somebody approved, or declined, what a run wanted to do."""
    REFUSED = "refused"
    """Somebody was not let in, or not allowed to do something."""
    VIEWED = "viewed"
    """Somebody looked at a conversation of others, or at a list of the audit."""
    EXPORTED = "exported"
    SHARED = "shared"
    """A link by which everybody may read a conversation was made, or made void."""
    PERMITTED = "permitted"
    """Somebody was permitted to stop and retry other people's questions in a conversation."""
    SESSION = "session"
    """Somebody signed in to the web chat, signed out, or was signed out."""
    TOKEN = "token"  # noqa: S105
    """A token of the API was made, or made void."""
    FORKED = "forked"
    """A conversation went on from an earlier question of another."""
    SCHEDULE = "schedule"
    """A schedule was made, changed or removed."""
    SETTINGS = "settings"
    """A process began with other settings than before."""
    HELD = "held"
    """A conversation was put on legal hold, or released."""
    ERASED = "erased"
    """The contents of earlier records were removed."""
    UNKNOWN = "unknown"
    """Written by a newer version, or damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one setting."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Records by their numbers, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that happened and is to be recorded. What is empty does not apply."""

    kind: Deed
    key: str = field(default_factory=lambda: uuid4().hex)
    """Names what happened: an entry whose key is recorded already is left out."""
    at: datetime = field(default_factory=now)
    author: Author | None = None
    """Who did it."""
    thread: ThreadId = ThreadId("")
    turn: str = ""
    step: int | None = None
    text: str = ""
    """The question, the code, the beginning and end of the result, or a sentence."""
    subject: str = ""
    """What it was done to or with: a tool, a format, a place, a process."""
    status: str = ""
    """How it came out."""
    error: str = ""
    """The error's type."""
    model: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    digest: str = ""
    """SHA-256 of the whole output and value, hexadecimal."""
    files: tuple[File, ...] = ()
    """What came in with a question, or out of code, without bytes."""
    changes: tuple[Change, ...] = ()
    erases: tuple[Span, ...] = ()
    """The records whose contents were removed; part of the chain itself, so that it outlives a removal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry in its place in the chain."""

    number: int
    """Its place, from 1; a chain has no gaps."""
    entry: Entry
    """What happened; without its content (all but kind, key, time and `erases`) where that was removed."""
    digest: str
    """SHA-256 of the content and a salt, as it was chained."""
    found: str
    """The same of the content as it is now; empty where that was removed."""
    previous: str
    """The hash of the record before."""
    hash: str
    """SHA-256 of number, kind, key, time, `erases`, digest and previous hash."""
    sound: bool
    """Whether the hash is still the one that these come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The end of the chain at some moment: whoever keeps one can tell later that nothing before it was changed."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found."""

    records: int
    erased: int
    """Records whose content was removed, as a later record says."""
    end: Receipt | None
    """The end of the chain: keep it elsewhere, and give it to a later verification."""
    faults: tuple[str, ...]
    """One sentence each; empty where the chain holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Which records of the audit to list, newest first; an empty field does not restrict."""

    kind: Deed | None = None
    person: str = ""
    """The id of who did it."""
    thread: ThreadId | None = None
    turn: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str = ""
    """`RecordPage.cursor` of the page before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """Some records, newest first, and where the next page begins."""

    records: tuple[Record, ...]
    cursor: str = ""
    """For `Trail.cursor`; empty where there are no more."""
