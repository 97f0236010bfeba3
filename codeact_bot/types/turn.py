"""The answering of a message, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from codeact_bot.types.action import Action, RunCode
from codeact_bot.types.completion import Completion
from codeact_bot.types.execution import Execution, Status
from codeact_bot.types.message import Incoming
from codeact_bot.types.moment import now
from codeact_bot.types.usage import Usage


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
