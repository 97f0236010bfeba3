"""All data of codeact-bot: frozen, slotted, keyword-only. Times are UTC, durations seconds, sizes bytes, money US dollars."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType
from uuid import uuid4

ThreadId = NewType("ThreadId", str)
"""Names a conversation, platform first: `slack:T1:C1:1712.3`, `terminal:4f1c9a`."""


WEB = "web:"
"""Beginning of the ids of conversations that were begun in the web chat, and the place of answers that appear nowhere else."""


def now() -> datetime:
    """Return the current UTC time in milliseconds, the precision that MongoDB keeps."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A named file, with its bytes or only with their address in the store."""

    name: str
    """Path relative to the working folder, `/`-separated."""
    size: int
    digest: str
    """SHA-256 of the bytes, hexadecimal: their address in the store."""
    data: bytes | None = field(default=None, repr=False)
    """The bytes, or None where only the store holds them (`Store.load_file`)."""

    @classmethod
    def of(cls, name: str, data: bytes) -> File:
        """Make a file from its bytes."""
        return cls(name=name, size=len(data), digest=hashlib.sha256(data).hexdigest(), data=data)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message as the model sees it."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money; adds up with `+`."""

    input_tokens: int = 0
    """All input tokens, the cached ones included."""
    cached_tokens: int = 0
    """Input tokens that the provider served from its prompt cache."""
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars; 0 where the model has no known price."""
    estimated: bool = False
    """True where any figure was estimated because the stream was closed before the model reported it."""

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=self.cost + other.cost,
            estimated=self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in US dollars per million tokens."""

    input: float
    cached: float
    output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model said in one step."""

    text: str
    """Up to the end of the first action; the stream is closed there."""
    usage: Usage = Usage()
    model: str = ""
    seconds: float = 0.0
    attempts: int = 1
    """Requests it took, the failed ones included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCode:
    """The model wants this Python to run."""

    thought: str
    """The prose before the block."""
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The model wants this Python to run, and a person has to approve it first: nothing has run."""

    thought: str
    """The prose before the block."""
    code: str

    @property
    def digest(self) -> str:
        """SHA-256 of the code, hexadecimal."""
        return hashlib.sha256(self.code.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The model has answered; the turn is over."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """The model tried to act and did not manage; it is told how."""

    thought: str
    code: str
    """What stood in the block."""
    reason: str
    """One or two sentences for the model: what is wrong and what to write instead."""


Action = RunCode | Proposal | Answer | Malformed


class Status(StrEnum):
    """How an execution ended."""

    OK = "ok"
    ERROR = "error"
    """The code raised, or exited with an error."""
    TIMEOUT = "timeout"
    """It ran out of its seconds and was interrupted; `Execution.lost` says whether variables survived."""
    KILLED = "killed"
    """Its process died: out of memory, `os._exit`, a signal. Variables are gone, the working folder is not."""
    STOPPED = "stopped"
    """A person stopped it."""
    LOST = "lost"
    """The sandbox itself is gone, or a crash left the step open. It may have had effects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeError:
    """The exception that ended the user's code."""

    type: str
    """The exception's class name: `KeyError`, `pandas.errors.ParserError`."""
    message: str
    traceback: str = ""
    """The user's own frames with their source lines, and the error; library frames folded."""
    line: int | None = None
    """Line of the submitted code (from 1) that raised, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that the code showed, as text cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first rows, each as long as `columns`."""
    total_rows: int
    """Rows of the whole table, of which `rows` are the first."""
    total_columns: int
    """Columns of the whole table, of which `columns` are the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The outcome of running one block. A failure of the user's code is a result, never an exception."""

    status: Status
    output: str = ""
    """Standard output and standard error in the order written; head and tail where some was cut."""
    cut: int = 0
    """Bytes of output left out between head and tail."""
    value: str | None = None
    """Text of the last expression's value, as a notebook shows it; None where there is none."""
    error: CodeError | None = None
    tables: tuple[Table, ...] = ()
    images: tuple[File, ...] = ()
    """PNGs of the figures that the code drew."""
    files: tuple[File, ...] = ()
    """Files of the working folder that the code made or changed."""
    notes: tuple[str, ...] = ()
    """Sentences on what was left out: files too many or too large, images dropped, a value cut."""
    lost: tuple[str, ...] = ()
    """Names of the variables that went with a killed process; `state_lost` says whether one went at all."""
    state_lost: bool = False
    """True where the variables of earlier steps are gone."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One completion of the model, the action in it and, where code ran, what came of it."""

    index: int
    """From 0 within the turn."""
    completion: Completion
    action: Action
    execution: Execution | None = None
    """None while the code runs (the step is open), and for actions that run nothing."""
    observation: str = ""
    """What the model is told of the outcome; empty for an answer and for an open step."""
    hint: str = ""
    """The line of advice in the observation, where a hint fitted."""
    at: datetime = field(default_factory=now)

    @property
    def ran(self) -> bool:
        """Whether its code ran in a sandbox that lives on; what an interrupted one did went with its sandbox."""
        return self.execution is not None and self.execution.status is not Status.LOST


class Ending(StrEnum):
    """How a turn ended."""

    ANSWERED = "answered"
    LIMIT = "limit"
    STOPPED = "stopped"
    FAILED = "failed"
    MISSED = "missed"
    """A scheduled run that was not made."""
    APPROVAL = "approval"
    """It asks whether its code may run; what a person says to that is a message of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a turn ended, in words for the person."""

    ending: Ending
    text: str
    """The answer, or one or two sentences on why there is none and what to do."""
    limit: str = ""
    """Which budget ran out (a field name of `Limits`, or `stuck`), where `ending` is `limit`."""
    lost: str = ""
    """Which variables and files of the turns before are gone, in a sentence; empty where none are."""
    rebuild: int = 0
    """How many recorded steps a rebuild of the conversation's state would run again; 0 where none is offered."""
    proposal: str = ""
    """SHA-256 of the code that is to be approved, where `ending` is `approval`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The answering of one Incoming."""

    id: str
    """Derived from the Incoming, so that two workers answering the same one collide."""
    incoming: Incoming
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    """None while the turn runs."""
    reply: str = ""
    """The adapter's reference of the post that shows this turn."""
    resumed: bool = False
    """Whether another worker began it: there may be a post that `reply` does not know."""
    started: datetime = field(default_factory=now)
    ended: datetime | None = None

    @property
    def usage(self) -> Usage:
        """Tokens and money of all steps."""
        return sum((step.completion.usage for step in self.steps), Usage())


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What a turn shows of the step under way, for those who follow it from another process."""

    step: int
    """Index of the step in its turn."""
    running: bool
    """Whether its code runs; the model thinks otherwise."""
    thought: str = ""
    """The end of the model's prose; empty while the code runs, since the open step has it."""
    output: str = ""
    """The end of what the code printed."""
    cut: int = 0
    """Characters printed before `output`."""
    notices: tuple[str, ...] = ()
    """The last sentences that the person should read."""

    def fits(self, turn: Turn) -> bool:
        """Whether the turn, as it was read, is at this step."""
        last = turn.steps[-1] if turn.steps else None
        running = last is not None and isinstance(last.action, RunCode) and last.execution is None
        return (self.step, self.running) == (len(turn.steps) - running, running)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which turns to find; an empty field does not restrict."""

    thread: ThreadId | None = None
    prefix: str = ""
    """Beginning of the thread's id: `slack:T1:C1`."""
    person: str = ""
    """An author's id or name."""
    ending: Ending | None = None
    error: str = ""
    """Type of an error that occurred in the turn: `KeyError`."""
    text: str = ""
    """Words in the question, the code, the output or the answer."""
    since: datetime | None = None
    until: datetime | None = None
    platform: str = ""
    """`slack`, `discord`, `terminal`, `web`, `api`."""
    channel: str = ""
    """`Run.channel`: `slack:T1:C1`."""
    model: str = ""
    """The model of the last step."""
    min_cost: float = 0.0
    """US dollars."""
    limit: int = 50
    cursor: str = ""
    """`RunPage.cursor` of the page before; only `Store.search` reads it."""


class By(StrEnum):
    """What totals are added up by."""

    PERSON = "person"
    CHANNEL = "channel"
    PLATFORM = "platform"
    MODEL = "model"
    DAY = "day"
    """The day in UTC on which the runs began: `2026-11-24`."""
    ERROR = "error"
    """The types of the errors on the way; a run counts for each of its own, and one without errors for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A turn as a list of runs shows it."""

    turn: str
    """The turn's id; `Store.turn` has its transcript."""
    thread: ThreadId
    channel: str
    """Where the thread is: `slack:T1:C1`, `terminal`."""
    author: Author
    question: str
    started: datetime
    ended: datetime | None = None
    ending: Ending | None = None
    """None while it runs."""
    errors: tuple[str, ...] = ()
    """Types of the errors on the way, each once."""
    model: str = ""
    """The model of the last step."""
    steps: int = 0
    repairs: int = 0
    """Steps that failed and were followed by another attempt, or by giving up."""
    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Some runs, newest first, and where the next page begins."""

    runs: tuple[Run, ...]
    cursor: str = ""
    """For `Store.search`; empty where there are no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount:
    """How many runs an error occurred in."""

    type: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What the ended runs of one person, channel, platform, model, day or type of error come to."""

    name: str
    runs: int
    answered: int
    limit: int
    stopped: int
    failed: int
    missed: int
    approval: int
    """Runs that ended by asking whether their code may run: neither answered nor failed."""
    steps: int
    repairs: int
    """Failed steps of the runs that were answered all the same."""
    seconds: float
    tokens: int
    cost: float
    errors: tuple[ErrorCount, ...] = ()
    """The fifty most frequent types."""

    @property
    def success(self) -> float:
        """Share of the runs that were answered, from 0 to 1; those that ended by asking for an approval do not count."""
        decided = self.runs - self.approval
        return self.answered / decided if decided else 0.0

    @property
    def repairs_until_success(self) -> float:
        """Failed steps of an answered run, on average."""
        return self.repairs / self.answered if self.answered else 0.0


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
class Share:
    """A link by which everybody may read a conversation."""

    id: str
    """SHA-256 of the secret in the link, hexadecimal: who reads the database cannot open the page."""
    thread: ThreadId
    by: Author
    made: datetime
    until: datetime

    @property
    def name(self) -> str:
        """What the audit calls it."""
        return f"link {self.id[:12]}"


class Role(StrEnum):
    """What somebody may see and do in the web chat and by its API."""

    MEMBER = "member"
    """Their own conversations, and those they take part in."""
    AUDITOR = "auditor"
    """All conversations, reading only."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who may use the web chat, and as what, where people sign in.

    An entry is an e-mail address, a domain (`@example.org`), a subject (`sub:4711`), with Sign in with Slack a workspace or a user
    (`slack:workspace:T1`, `slack:user:U1`), or `*` for everybody who can sign in.
    """

    allow: tuple[str, ...] = ()
    """Who may ask, and see what they take part in."""
    auditors: tuple[str, ...] = ()
    """Who may read everything, and every look at others' conversations is recorded."""
    admins: tuple[str, ...] = ()
    """Who may do everything."""

    def role(self, subjects: Collection[str]) -> Role | None:
        """What somebody is who is all these subjects: the most that any list says; None where none names them."""
        listed = {Role.ADMIN: self.admins, Role.AUDITOR: self.auditors, Role.MEMBER: self.allow}
        known = {_folded(subject) for subject in subjects}
        return next((role for role, entries in listed.items() if not known.isdisjoint(map(_folded, entries))), None)


def _folded(subject: str) -> str:
    """Return an e-mail address or domain in small letters, and ids as they are."""
    return subject if subject.startswith(("sub:", "slack:")) else subject.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How many requests the web chat and its API take in a minute; one that changes something counts as ten."""

    viewer: float = 600.0
    """Of one person, or one token."""
    address: float = 3000.0
    """Of one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret by which a program uses the API."""

    id: str
    """SHA-256 of the secret, hexadecimal: who reads the database cannot use it."""
    name: str
    """What people call it."""
    role: Role
    made: datetime
    until: datetime | None = None
    """When it ends; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """That somebody is signed in to the web chat, in one browser."""

    id: str
    """SHA-256 of the secret in the browser's cookie, hexadecimal: who reads the database cannot use it."""
    person: Author
    made: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one thread until `until`."""

    thread: ThreadId
    owner: str
    token: int
    """Fencing token: grows with every claim, and a write that carries an older one is refused."""
    incoming: Incoming
    """The message to answer now: the first of the thread's queue."""
    until: datetime
    ran: str = ""
    """The last step whose code ran in the thread, as `step_mark` names it; empty where none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a session's state: opaque bytes that only a sandbox may read."""

    size: int
    digest: str
    """SHA-256 of the bytes, hexadecimal."""
    data: bytes | None = field(default=None, repr=False)
    """The bytes, or None where only the store holds them."""

    @classmethod
    def of(cls, data: bytes) -> Part:
        """Make a part from its bytes."""
        return cls(size=len(data), digest=hashlib.sha256(data).hexdigest(), data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a session."""

    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()
    """Variables and definitions that were kept."""
    dropped: tuple[str, ...] = ()
    """Variables that could not be kept."""
    mark: str = ""
    """The last step whose effects it holds, as `step_mark` names it."""
    behind: bool = False
    """Whether code ran in the conversation after it; without parts, whether anything that was to be kept is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A conversation that goes on from an earlier point of another."""

    thread: ThreadId
    turns: int
    """How many of the other's turns it has."""
    whole: bool = True
    """False where code ran in those turns, and its variables and files of then are no longer kept."""


def step_mark(turn_id: str, index: int) -> str:
    """Name a step among all steps."""
    return f"{turn_id}/{index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every budget of a turn."""

    steps: int = 20
    """Completions of the model."""
    consecutive_errors: int = 5
    """Failed steps in a row."""
    step_seconds: float = 60.0
    """One execution."""
    turn_seconds: float = 900.0
    """The whole turn, the model's thinking included."""
    tokens: int = 500_000
    """Input and output tokens of all steps."""
    cost: float = 2.0
    """US dollars of all steps."""
    output: int = 100_000_000
    """Bytes printed in one turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What comes back from one execution at most."""

    output: int = 256 * 1024
    """Bytes of output, half of them head and half tail."""
    value: int = 64 * 1024
    """Bytes of the value's text."""
    files: int = 20
    """Files that come back with one step."""
    file_bytes: int = 16 * 1024 * 1024
    """Size of one file, in or out."""
    images: int = 10
    """Figures of one step."""
    image_bytes: int = 8 * 1024 * 1024
    """Size of one figure."""
    tables: int = 10
    """Tables of one step."""
    table_rows: int = 200
    """First rows of a table."""
    table_columns: int = 50
    """First columns of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one sandbox may use."""

    memory: int = 1024 * 1024 * 1024
    """Bytes, swap included."""
    cpus: float = 1.0
    """Processors' worth of time."""
    processes: int = 128
    """Processes and threads."""
    open_files: int = 1024
    """Descriptors of one process."""
    disk: int = 512 * 1024 * 1024
    """Bytes of the working folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use the bot on chat platforms. A subject is `platform:kind:id`, such as `slack:user:U1` or `discord:role:7`.

    Kinds are `workspace` (Slack), `guild` (Discord), `channel`, `role` (Discord) and `user`.
    """

    allow: tuple[str, ...] = ()
    """Subjects that may ask; empty: everyone who can reach the bot."""
    deny: tuple[str, ...] = ()
    """Subjects that may not, whatever `allow` says."""
    admins: tuple[str, ...] = ()
    """Subjects that may always ask, and stop and retry everyone's questions."""

    def is_admin(self, subjects: Collection[str]) -> bool:
        """Whether somebody who is all these subjects is an admin."""
        return not set(subjects).isdisjoint(self.admins)

    def admits(self, subjects: Collection[str]) -> bool:
        """Whether somebody who is all these subjects may ask: admins always, others where nothing denies and something, or nothing, allows it."""
        if self.is_admin(subjects):
            return True
        return set(subjects).isdisjoint(self.deny) and (not self.allow or not set(subjects).isdisjoint(self.allow))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants to be asked again and again, and where."""

    name: str
    """Tells this wish from others: the same one, redelivered, makes no second schedule."""
    when: str
    """`every weekday at 9`, `0 9 * * mon-fri`, with a time zone or without; the question may follow."""
    question: str
    """What is asked each time; empty where `when` says it."""
    author: Author
    subjects: tuple[str, ...]
    """Who the author is to the access lists."""
    zone: str
    """Time zone of times that name none, by its IANA name; empty: that of the settings."""
    home: str
    """The place whose conversation is asked; where `fresh`, the beginning of the id of each run's own conversation."""
    fresh: bool
    """Whether each run begins a conversation."""
    place: str
    """Where the answers are to be posted, as in `Incoming`."""
    channel: str
    """Beginning of the places that belong to the same channel: its people see the schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A question that is asked by the clock."""

    id: str
    order: Order
    cron: str
    """Minute, hour, day of the month, month, day of the week by name."""
    zone: str
    """Time zone of `cron`, by its IANA name."""
    said: str
    """When it runs, in words."""
    next: datetime | None
    """When it runs next; None while it is paused."""
    firing: Incoming | None = None
    """A run that has begun, until its message is surely in the queue."""
    made: datetime = field(default_factory=now)

    @property
    def question(self) -> str:
        """What is asked."""
        return self.order.question


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Slow first-time work goes on: building an image, starting a database."""

    label: str
    fraction: float | None = None
    """Between 0 and 1, or None where the length is not known; 1 when done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """The next piece of the model's prose, as it streams."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtDropped:
    """The stream broke and is asked again: what was shown of this step is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeStarted:
    """This code starts to run."""

    index: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The code printed this."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step is complete."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A sentence that the person should read: a fallback, lost variables, a retry, a nudge."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDone:
    """The turn is over."""

    turn: Turn


class Activity(StrEnum):
    """What a worker spends its time on."""

    TURN = "turn"
    """Answering a message, from the claim until the answer is on its way."""
    CLAIM = "claim"
    """Taking a message off the queue and opening its turn."""
    START = "sandbox start"
    RESTORE = "sandbox restore"
    MODEL = "model request"
    """One completion, requests that failed and were repeated included."""
    EXECUTION = "execution"
    SNAPSHOT = "snapshot"
    DELIVERY = "delivery"
    """Bringing an answer to the platform, until it has arrived."""
    FIRE = "scheduled run"
    """Sending the message of a schedule that is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work from its beginning to its end, as measures and traces see it."""

    what: Activity
    thread: ThreadId | None = None
    """The conversation it is for; None for what no conversation asked for, such as filling the pool."""
    turn: str = ""
    """The turn's id, where it is known at the beginning."""
    step: int | None = None
    since: float = field(default_factory=time.perf_counter)
    """When it began, by `time.perf_counter`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in the store, by its own clock."""

    waiting: int = 0
    """Messages that nobody answers yet."""
    waiting_seconds: float = 0.0
    """How long the oldest of them has waited."""
    running: int = 0
    """Conversations that a live lease holds."""
    running_seconds: float = 0.0
    """How long the oldest of these leases has been held."""
    owed: int = 0
    """Answers that have not arrived at their platforms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of `codeact-bot doctor`, or of what a worker says of itself."""

    name: str
    """What was looked at: `Docker`, `MongoDB`."""
    ok: bool | None
    """True: works. False: does not. None: not there, and not needed."""
    text: str
    """What was found."""
    remedy: str = ""
    """What to do about it, where something is to be done."""


Event = Preparing | Thought | ThoughtDropped | CodeStarted | Output | StepDone | Notice | TurnDone
