"""The loop: ask the model, run its code, tell it the outcome, until there is an answer or a reason to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from codeact_bot.agent.actions import ActionParser
from codeact_bot.agent.advice import advise
from codeact_bot.agent.approvals import WAITS, asking
from codeact_bot.agent.execution import INTERRUPTED, SANDBOX_FAULTS, Save, Show, cancelled, execute, first
from codeact_bot.agent.hints import HINTS, Hint
from codeact_bot.agent.limits import NUDGE, exceeded, nudge_due, out_of_time
from codeact_bot.agent.observations import observe, observe_malformed
from codeact_bot.agent.prompt import system_prompt
from codeact_bot.agent.window import Window
from codeact_bot.errors import ModelRefused, ModelUnavailable
from codeact_bot.ports import UNOBSERVED, Model, Observer, Session
from codeact_bot.redaction import Redactor
from codeact_bot.types import (
    Activity,
    Answer,
    Bounds,
    CodeStarted,
    Completion,
    Ending,
    Execution,
    Limits,
    Malformed,
    Message,
    Notice,
    Outcome,
    Proposal,
    RunCode,
    Step,
    StepDone,
    Thought,
    ThoughtDropped,
    Turn,
    Work,
    now,
)

T = TypeVar("T")


class Ended(Exception):
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
    approve: bool = False
    """Whether a person has to approve code before it runs."""
    window: Window = field(default_factory=Window)
    network: bool = False
    """Whether the sandbox can reach the network, which the model is told."""
    packages: str = "NumPy, pandas, matplotlib"
    """What the sandbox has installed, in words for the model."""
    template: str = ""
    """A system prompt in place of the packaged one, with its variables."""
    redactor: Redactor = field(default_factory=Redactor)
    """Leaves secrets out of what the model and the code write, before anybody sees it."""
    clock: Callable[[], float] = time.monotonic
    observer: Observer = UNOBSERVED

    async def turn(
        self,
        turn: Turn,
        past: Sequence[Turn],
        session: Session,
        *,
        save: Save,
        show: Show,
        stop: asyncio.Event,
        approved: RunCode | None = None,
    ) -> Turn:
        """Work on `turn` until it has an outcome and return it with its steps and outcome, not yet saved.

        `save` is given each step before its code runs and again when it is done; `show` is given what people should see; `stop` ends the turn
        from any state. Code that a person has approved runs first. The attached files are in the session's folder already. Errors of `save`
        and `show` propagate.
        """
        run = _Run(self, turn, past, session, save, show, stop)
        try:
            outcome = await run.to_the_end(approved)
        except Ended as ended:
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
            today=datetime.now(UTC).date(),
            limits=loop.limits,
            network=loop.network,
            packages=loop.packages,
            approve=loop.approve,
            template=loop.template,
        )

    async def to_the_end(self, approved: RunCode | None) -> Outcome:
        """The loop."""
        await self.settle_open_step()
        if approved is not None and not self.steps and not self.stop.is_set():
            await self.show(Thought(text=approved.thought))
            await self.run(Step(index=0, completion=Completion(text=""), action=approved), approved.code)
        while not (outcome := self.over()):
            outcome = await self.act(await self.ask())
            if outcome:
                break
        return outcome

    def over(self) -> Outcome | None:
        """Return the outcome if there is a reason to end before the next step."""
        if self.steps and isinstance(answer := self.steps[-1].action, Answer):
            return Outcome(ending=Ending.ANSWERED, text=answer.text)
        if self.steps and isinstance(proposal := self.steps[-1].action, Proposal):
            return asking(proposal)
        if self.stop.is_set():
            return _STOPPED
        return exceeded(self.loop.limits, self.steps, self.seconds())

    def seconds(self) -> float:
        """Return how long the turn has been running here."""
        return self.loop.clock() - self.began

    def seconds_left(self) -> float:
        return max(0.0, self.loop.limits.turn_seconds - self.seconds())

    async def settle_open_step(self) -> None:
        """Close a step that a crash left open: it is reported as interrupted and never run again."""
        if self.steps and isinstance(self.steps[-1].action, RunCode) and self.steps[-1].execution is None:
            await self.close(self.steps.pop(), INTERRUPTED)

    async def ask(self) -> Step:
        """Ask the model for its next action, streaming its thought; returns the step that begins with it."""
        messages = await self.messages()
        parser, stream = ActionParser(), self.loop.redactor.stream()

        async def hear(delta: str | None) -> bool:
            nonlocal parser, stream
            if delta is None:
                parser, stream = ActionParser(), self.loop.redactor.stream()
                await self.show(ThoughtDropped())
                return False
            thought, complete = parser.feed(stream.feed(delta))
            if thought:
                await self.show(Thought(text=thought))
            return complete

        try:
            with self.loop.observer.during(self.work(Activity.MODEL, len(self.steps))) as tell:
                completion = await self.in_time(self.loop.model.complete(messages, hear))
                held, _ = parser.feed(stream.end())
                rest = held + parser.end()
                step = Step(index=len(self.steps), completion=self.loop.redactor.completion(completion), action=parser.action)
                tell(step)
        except (ModelUnavailable, ModelRefused) as error:
            raise Ended(Outcome(ending=Ending.FAILED, text=str(error))) from None
        if rest:
            await self.show(Thought(text=rest))
        self.loop.window.learn(messages, completion.usage)
        return step

    def work(self, what: Activity, step: int) -> Work:
        """Name a piece of work of the turn."""
        return Work(what=what, thread=self.turn.incoming.thread, turn=self.turn.id, step=step)

    async def messages(self) -> list[Message]:
        """Build what the model is sent, with a nudge where it goes in circles."""
        messages = self.loop.window.fit(self.system, self.past, replace(self.turn, steps=tuple(self.steps)))
        if nudge_due(self.steps):
            await self.show(Notice(text="The model repeats itself; it was told to try another way."))
            messages.append(Message(role="user", content=NUDGE))
        return messages

    async def act(self, step: Step) -> Outcome | None:
        """Do what the model wants; returns the outcome where that was to answer."""
        match step.action:
            case Answer(text=text):
                await self.finish(step)
                return Outcome(ending=Ending.ANSWERED, text=text)
            case Malformed() as action:
                await self.finish(replace(step, observation=observe_malformed(action, steps_left=self.steps_left())))
            case RunCode(thought=thought, code=code) if self.loop.approve:
                await self.finish(replace(step, action=Proposal(thought=thought, code=code), observation=WAITS))
            case RunCode(code=code):
                await self.run(step, code)
        return None

    async def run(self, step: Step, code: str) -> None:
        """Run the code of a step, which is written before and after it."""
        await self.save(step)
        await self.show(CodeStarted(index=step.index, code=code))
        await self.close(step, await self.execute(step, code))

    async def execute(self, step: Step, code: str) -> Execution:
        """Run the code within its time; a stop interrupts it."""
        seconds = min(self.loop.limits.step_seconds, self.seconds_left())
        try:
            loop, session = self.loop, self.session
            with loop.observer.during(self.work(Activity.EXECUTION, step.index)) as tell:
                execution = await execute(
                    session, code, seconds=seconds, bounds=loop.bounds, redactor=loop.redactor, show=self.show, stop=self.stop
                )
                tell(execution)
                return execution
        except SANDBOX_FAULTS as error:
            await self.close(step, INTERRUPTED)
            raise Ended(Outcome(ending=Ending.FAILED, text=str(error))) from error

    async def close(self, step: Step, execution: Execution) -> None:
        """Save a step with what came of it."""
        loop = self.loop
        hint = await advise(
            execution, loop.hints, self.session, self.steps, packages=loop.packages, seconds=loop.limits.step_seconds, network=loop.network
        )
        room = loop.window.room_for_observation(loop.window.fit(self.system, (), replace(self.turn, steps=tuple(self.steps))))
        observation = observe(execution, steps_left=self.steps_left(), hint=hint, limit=room)
        await self.finish(replace(step, execution=execution, hint=hint, observation=observation))
        if execution.state_lost:
            names = f": {', '.join(execution.lost)}" if execution.lost else ""
            await self.show(Notice(text=f"The sandbox was restarted, so the variables of earlier steps are gone{names}."))

    async def finish(self, step: Step) -> None:
        """Save a complete step and show it."""
        self.steps.append(step)
        await self.save(step)
        await self.show(StepDone(step=step))

    def steps_left(self) -> int:
        """Return how many steps the turn has after the one under way."""
        return self.loop.limits.steps - len(self.steps) - 1

    async def in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, unless the turn is stopped or runs out of time first."""
        task = asyncio.create_task(work)
        try:
            await first(task, self.stop.wait(), self.seconds_left())
            if task.done():
                return task.result()
        finally:
            await cancelled(task)
        raise Ended(_STOPPED if self.stop.is_set() else out_of_time(self.loop.limits, self.steps))


_STOPPED = Outcome(ending=Ending.STOPPED, text="Stopped. What ran so far is kept; ask me to go on, or ask something else.")
