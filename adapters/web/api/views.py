"""What the API sends and takes: shapes of its own, so that the core may change behind them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field
from starlette.responses import Response

from adapters.common.story import Story
from adapters.web.access import Viewer
from codeact_bot.types import Answer, Ending, Execution, File, Malformed, Role, RunCode, Schedule, Status, Step, Table, Thread, Turn

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
class FileView:
    """A file; `/api/threads/{thread}/turns/{turn}/files/{digest}` has its bytes."""

    name: str
    size: int
    digest: str

    @classmethod
    def of(cls, files: tuple[File, ...]) -> tuple[FileView, ...]:
        """Describe files."""
        return tuple(cls(name=file.name, size=file.size, digest=file.digest) for file in files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """The exception that ended the code."""

    type: str
    message: str
    traceback: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """What came of running the code."""

    status: Status
    output: str
    cut: int
    """Bytes of output left out between head and tail."""
    value: str | None
    error: ErrorView | None
    tables: tuple[Table, ...]
    images: tuple[FileView, ...]
    files: tuple[FileView, ...]
    notes: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, run: Execution) -> ResultView:
        """Describe an execution."""
        error = run.error
        return cls(
            status=run.status,
            output=run.output,
            cut=run.cut,
            value=run.value,
            error=ErrorView(type=error.type, message=error.message, traceback=error.traceback, line=error.line) if error else None,
            tables=run.tables,
            images=FileView.of(run.images),
            files=FileView.of(run.files),
            notes=run.notes,
            seconds=run.seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step on the way to an answer."""

    index: int
    kind: Literal["code", "answer", "malformed"]
    text: str
    """What the model wrote before the code, or the answer."""
    code: str
    result: ResultView | None
    """None while the code runs, and where none ran."""
    model: str
    tokens: int
    cost: float
    """US dollars."""

    @classmethod
    def of(cls, step: Step) -> StepView:
        """Describe a step."""
        action, said = step.action, step.completion
        return cls(
            index=step.index,
            kind="code" if isinstance(action, RunCode) else "malformed" if isinstance(action, Malformed) else "answer",
            text=action.text if isinstance(action, Answer) else action.thought,
            code="" if isinstance(action, Answer) else action.code,
            result=ResultView.of(step.execution) if step.execution else None,
            model=said.model,
            tokens=said.usage.tokens,
            cost=said.usage.cost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """A question with all that was done to answer it."""

    id: str
    thread: str
    question: str
    """The question's id, as it was returned when it was asked."""
    text: str
    author: str
    files: tuple[FileView, ...]
    steps: tuple[StepView, ...]
    ending: Ending | None
    """None while the turn runs."""
    answer: str
    asked: datetime
    started: datetime
    ended: datetime | None

    @classmethod
    def of(cls, turn: Turn) -> TurnView:
        """Describe a turn."""
        asked = turn.incoming
        return cls(
            id=turn.id,
            thread=asked.thread,
            question=asked.id,
            text=asked.text,
            author=asked.author.name,
            files=FileView.of(asked.files),
            steps=tuple(map(StepView.of, turn.steps)),
            ending=turn.outcome.ending if turn.outcome else None,
            answer=turn.outcome.text if turn.outcome else "",
            asked=asked.at,
            started=turn.started,
            ended=turn.ended,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """What a turn that runs does now."""

    turn: str
    question: str
    steps: int
    """Steps that have ended."""
    thought: str
    code: str
    """The code that runs; empty where none does."""
    output: str
    """The end of what it printed."""

    @classmethod
    def of(cls, story: Story) -> ProgressView:
        """Describe a turn that runs."""
        asked = story.turn.incoming.id
        return cls(turn=story.turn.id, question=asked, steps=len(story.steps), thought=story.thought, code=story.code, output=story.output)


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
class TurnPage:
    """Some turns, the newest first."""

    turns: tuple[TurnView, ...]
    next: str
    """For `before`; empty where there are no more."""


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
