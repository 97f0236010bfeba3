"""What adapters show while a turn goes on."""

from __future__ import annotations

from dataclasses import dataclass

from codeact_bot.types.turn import Step, Turn


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


Event = Preparing | Thought | ThoughtDropped | CodeStarted | Output | StepDone | Notice | TurnDone
