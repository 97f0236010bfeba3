"""Questions that are asked by the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from codeact_bot.types.message import Author, Incoming
from codeact_bot.types.moment import now


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
