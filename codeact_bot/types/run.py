"""Turns as the audit lists and counts them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from codeact_bot.types.ids import ThreadId
from codeact_bot.types.message import Author
from codeact_bot.types.turn import Ending


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
