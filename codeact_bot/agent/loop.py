"""The loop: ask the model, run its code, tell it the outcome, until there is an answer or a reason to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from codeact_bot.agent.actions import ActionParser
from codeact_bot.agent.advice import advise
from codeact_bot.agent.hints import HINTS, Hint
from codeact_bot.agent.limits import NUDGE, exceeded, nudge_due, out_of_time
from codeact_bot.agent.observations import observe, observe_malformed
from codeact_bot.agent.prompt import system_prompt
from codeact_bot.agent.window import INTERRUPTED, Window, turn_messages
from codeact_bot.errors import CodeactError, ImageUnavailable, ModelRefused, ModelUnavailable, ProtocolViolated, SandboxLost, SandboxUnavailable
from codeact_bot.ports import Model, Session
from codeact_bot.types import (
    Action,
    Answer,
    Bounds,
    CodeStarted,
    Completion,
    Ending,
    Event,
    Execution,
    Limits,
    Malformed,
    Message,
    Notice,
    Outcome,
    Output,
    RunCode,
    Status,
    Step,
    StepDone,
    Thought,
    ThoughtDropped,
    Turn,
    now,
)

Save = Callable[[Step], Awaitable[None]]
Show = Callable[[Event], Awaitable[None]]
T = TypeVar("T")

GRACE = 1.5
"""Seconds that an interrupted session has to report back: it kills after one, and a stop has to be over within two."""
OVERRUN = 5.0
"""Seconds by which a session may exceed the time it was given before it is taken for hung."""
_SANDBOX_FAULTS = (SandboxUnavailable, ImageUnavailable, SandboxLost, ProtocolViolated)


class _Ended(Exception):  # noqa: N818
    """The turn is over, from wherever we are."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Answers turns; holds what is the same for all of them."""

    model: Model
    limits: Limits = Limits()
    bounds: Bounds = Bounds()
    hints: tuple[Hint, ...] = HINTS
    """The first that fits counts: put your own before `HINTS`."""
    window: Window = field(default_factory=Window)
    network: bool = False
    """Whether the sandbox can reach the network, which the model is told."""
    packages: str = "NumPy, pandas, matplotlib"
    """What the sandbox has installed, in words for the model."""
    template: str = ""
    """A system prompt in place of the packaged one, with its variables."""
    clock: Callable[[], float] = time.monotonic

    async def turn(self, turn: Turn, past: Sequence[Turn], session: Session, *, save: Save, show: Show, stop: asyncio.Event) -> Turn:
        """Work on `turn` until it has an outcome and return it with its steps and outcome, not yet saved.

        `save` is given each step before its code runs and again when it is done; `show` is given what people should see; `stop` ends the turn
        from any state. The attached files are in the session's folder already. Errors of `save` and `show` propagate.
        """
        run = _Run(self, turn, past, session, save, show, stop)
        try:
            outcome = await run.to_the_end()
        except _Ended as ended:
            outcome = ended.outcome
        return replace(turn, steps=tuple(run.steps), outcome=outcome, ended=now())


class _Run:
    """One turn on its way."""

    def __init__(self, loop: Loop, turn: Turn, past: Sequence[Turn], session: Session, save: Save, show: Show, stop: asyncio.Event) -> None:
        self.loop, self.turn, self.past, self.session = loop, turn, past, session
        self.save, self.show, self.stop = save, show, stop
        self.steps = list(turn.steps)
        self.began = loop.clock()
        self.system = system_prompt(
            today=datetime.now(UTC).date(), limits=loop.limits, network=loop.network, packages=loop.packages, template=loop.template
        )

    async def to_the_end(self) -> Outcome:
        """The loop."""
        await self.settle_open_step()
        while not (outcome := self.over()):
            completion, action = await self.ask()
            step = Step(index=len(self.steps), completion=completion, action=action)
            outcome = await self.act(step)
            if outcome:
                break
        return outcome

    def over(self) -> Outcome | None:
        """Return the outcome if there is a reason to end before the next step."""
        if self.steps and isinstance(answer := self.steps[-1].action, Answer):
            return Outcome(ending=Ending.ANSWERED, text=answer.text)
        if self.stop.is_set():
            return _STOPPED
        return exceeded(self.loop.limits, self.steps, self.seconds())

    def seconds(self) -> float:
        """Return how long the turn has been running here."""
        return self.loop.clock() - self.began

    def seconds_left(self) -> float:
        return max(0.0, self.loop.limits.turn_seconds - self.seconds())
