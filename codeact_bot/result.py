"""What one turn came to, for programs."""

from __future__ import annotations

from dataclasses import dataclass

from codeact_bot.types import Ending, Execution, File, Outcome, Proposal, Step, Table, ThreadId, Turn, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one turn came to."""

    turn: Turn
    """The whole turn, step by step."""

    @property
    def text(self) -> str:
        """The answer, or why there is none."""
        return self.outcome.text

    @property
    def outcome(self) -> Outcome:
        """How the turn ended."""
        assert self.turn.outcome is not None
        return self.turn.outcome

    @property
    def ok(self) -> bool:
        """Whether the model answered; False after a limit or a stop, and where it asks for an approval."""
        return self.outcome.ending is Ending.ANSWERED

    @property
    def proposal(self) -> Proposal | None:
        """The code that it asks to run, for `Agent.approve` or `Agent.decline`; None where it asks nothing."""
        last = self.steps[-1].action if self.steps and self.outcome.proposal else None
        return last if isinstance(last, Proposal) else None

    @property
    def thread(self) -> ThreadId:
        """The conversation's id, to go on with later."""
        return self.turn.incoming.thread

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps."""
        return self.turn.steps

    @property
    def usage(self) -> Usage:
        """Tokens and money."""
        return self.turn.usage

    @property
    def executions(self) -> tuple[Execution, ...]:
        """What ran, in order."""
        return tuple(step.execution for step in self.steps if step.execution is not None)

    @property
    def files(self) -> tuple[File, ...]:
        """The files that the code made, the last version of each."""
        return tuple({file.name: file for execution in self.executions for file in execution.files}.values())

    @property
    def images(self) -> tuple[File, ...]:
        """The figures that the code drew."""
        return tuple(image for execution in self.executions for image in execution.images)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that the code showed."""
        return tuple(table for execution in self.executions for table in execution.tables)
