"""Turns as the API sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from adapters.common.story import Story
from codeact_bot.types import Answer, Ending, Execution, File, Malformed, Proposal, RunCode, Status, Step, Table, Turn


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


KINDS: Mapping[type, Literal["code", "proposal", "answer", "malformed"]] = {
    RunCode: "code",
    Proposal: "proposal",
    Answer: "answer",
    Malformed: "malformed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step on the way to an answer."""

    index: int
    kind: Literal["code", "proposal", "answer", "malformed"]
    """`proposal`: code that has not run, since a person has to approve it first."""
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
            kind=KINDS[type(action)],
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
    proposal: str
    """SHA-256 of the code that it asks to run; empty where it asks nothing."""
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
            proposal=turn.outcome.proposal if turn.outcome else "",
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
class TurnPage:
    """Some turns, the newest first."""

    turns: tuple[TurnView, ...]
    next: str
    """For `before`; empty where there are no more."""
