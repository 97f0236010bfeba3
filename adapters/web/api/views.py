"""What the API sends and takes: shapes of its own, so that the core may change behind them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field
from starlette.responses import Response

from adapters.web.access import Viewer
from codeact_bot.types import Ending, Role, Schedule, Thread

TEXT = 262_144
"""Characters of a question; in UTF-8 they are at most the 1 MiB that a message may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something was refused."""

    error: str
    """A sentence, with a remedy where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeView:
    """Who the caller is."""

    id: str
    name: str
    role: Role

    @classmethod
    def of(cls, viewer: Viewer) -> MeView:
        """Describe the caller."""
        (role,) = viewer.roles
        return cls(id=viewer.id, name=viewer.name, role=role)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """A conversation."""

    id: str
    title: str
    platform: str
    people: tuple[str, ...]
    """Names of those who wrote in it."""
    turns: int
    running: bool
    """Whether a question waits in it, or is being answered."""
    ending: Ending | None
    """How its last turn ended."""
    created: datetime
    updated: datetime

    @classmethod
    def of(cls, thread: Thread) -> ThreadView:
        """Describe a conversation."""
        return cls(
            id=thread.id,
            title=thread.title,
            platform=thread.id.partition(":")[0],
            people=thread.participants,
            turns=thread.turns,
            running=thread.running,
            ending=thread.ending,
            created=thread.created,
            updated=thread.updated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """A question that is asked by the clock."""

    id: str
    question: str
    author: str
    channel: str
    said: str
    """When it runs, in words."""
    cron: str
    zone: str
    next: datetime | None
    """None while it is paused."""

    @classmethod
    def of(cls, made: Schedule) -> ScheduleView:
        """Describe a schedule."""
        order = made.order
        return cls(
            id=made.id,
            question=made.question,
            author=order.author.name,
            channel=order.channel,
            said=made.said,
            cron=made.cron,
            zone=made.zone,
            next=made.next,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPage:
    """Some conversations, the last active first."""

    threads: tuple[ThreadView, ...]
    next: str
    """For `after`; empty where there are no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleList:
    """Schedules."""

    schedules: tuple[ScheduleView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=TEXT)]
    key: Annotated[str, Field(max_length=64)] = ""
    """Tells this question from others: the same key, sent again, asks nothing anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A question that was taken: it is kept, and answered in its turn."""

    thread: str
    question: str


def written(view: Any) -> str:
    """Write a view as JSON."""
    return json.dumps(asdict(view), ensure_ascii=False, default=datetime.isoformat)


def answer(view: Any, status: int = 200) -> Response:
    """Send a view."""
    return Response(written(view).encode("utf-8", "replace"), status, media_type="application/json")
