"""What a turn has shown so far, folded from its events."""

from __future__ import annotations

from codeact_bot.types import (
    CodeStarted,
    Event,
    Glimpse,
    Notice,
    Output,
    Preparing,
    RunCode,
    Step,
    StepDone,
    Thought,
    ThoughtDropped,
    Turn,
    TurnDone,
)

TAIL = 8_000
"""Characters of a running step's thought and output that are kept for showing."""
NOTICES = 5


class Story:
    """A turn as its post shows it; after a crash it begins with the steps that are saved."""

    def __init__(self, turn: Turn) -> None:
        """Begin with what is known of the turn."""
        self.turn = turn
        self.preparing: Preparing | None = None
        self.thought = ""
        self.code = ""
        """The code that runs; empty where none does."""
        self.output = ""
        """The end of what the running code printed."""
        self.cut = 0
        """Characters printed before `output`."""
        self.notices: list[str] = []
        self.done = turn.outcome is not None
        self._steps = {step.index: step for step in turn.steps}

    @classmethod
    def elsewhere(cls, turn: Turn, glimpse: Glimpse | None) -> Story:
        """A turn that another process runs, as the store has it."""
        story = cls(turn)
        last = turn.steps[-1] if turn.steps else None
        if last is not None and isinstance(last.action, RunCode) and last.execution is None:
            del story._steps[last.index]
            story.code, story.thought = last.action.code, last.action.thought
        if glimpse is not None and glimpse.fits(turn):
            story.thought = story.thought or glimpse.thought
            story.output, story.cut, story.notices = glimpse.output, glimpse.cut, list(glimpse.notices)
        return story

    @property
    def steps(self) -> list[Step]:
        """The steps that have ended, in their order."""
        return [self._steps[index] for index in sorted(self._steps)]

    def hear(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case Preparing():
                self.preparing = None if event.fraction == 1.0 else event
            case Thought():
                self.preparing = None
                self.thought = (self.thought + event.text)[-TAIL:]
            case ThoughtDropped():
                self.thought = ""
            case CodeStarted():
                self.code, self.output, self.cut = event.code, "", 0
            case Output():
                whole = self.output + event.text
                self.output = whole[-TAIL:]
                self.cut += len(whole) - len(self.output)
            case StepDone():
                self._steps[event.step.index] = event.step
                self.thought = self.code = self.output = ""
                self.cut = 0
            case Notice():
                self.notices = [*self.notices, event.text][-NOTICES:]
            case TurnDone():
                self.turn, self.done = event.turn, True
                self._steps = {step.index: step for step in event.turn.steps}
