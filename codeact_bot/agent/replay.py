"""A lost state made again: the recorded code of a conversation runs once more, in order, and no model is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from codeact_bot.agent.execution import INTERRUPTED, SANDBOX_FAULTS, Save, Show, execute
from codeact_bot.errors import FileRefused
from codeact_bot.ports import Session
from codeact_bot.redaction import MARK, Redactor
from codeact_bot.types import (
    Bounds,
    CodeStarted,
    Completion,
    Ending,
    Execution,
    File,
    Kind,
    Limits,
    Outcome,
    RunCode,
    Snapshot,
    Status,
    Step,
    StepDone,
    Thought,
    Turn,
)

STEPS = 500
"""Recorded steps that one rebuild runs at most."""
SECONDS = 3600.0
"""How long one rebuild takes at most; each step has the seconds of any other step."""
LISTED = 20
"""Names that the outcome lists."""

Load = Callable[[File], Awaitable[File]]
"""Returns a file with its bytes. Raises FileRefused when they are gone."""
Keep = Callable[[bool], Awaitable[Snapshot | None]]
"""Is told whether all steps ran; saves the new state and returns it, or returns None where that of before stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A step of the past that is to run again."""

    name: str
    """What people know it by: `question 2, step 1`."""
    action: RunCode
    files: tuple[File, ...] = ()
    """Files that people had attached since the step before; they are put back first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rebuild does."""

    steps: tuple[Recorded, ...] = ()
    files: tuple[File, ...] = ()
    """Files that were attached after the last step."""
    failed: int = 0
    """Steps that failed then, and are left out."""


def plan(past: Sequence[Turn]) -> Plan:
    """Return what it takes to run the code of some turns again: all of it that ended well, without that of rebuilds, which is the same."""
    steps: list[Recorded] = []
    files: tuple[File, ...] = ()
    failed = 0
    for number, turn in enumerate(past, 1):
        files += turn.incoming.files
        for step in turn.steps if turn.incoming.kind is not Kind.REBUILD else ():
            if step.execution is None or not isinstance(step.action, RunCode):
                continue
            if step.execution.status is Status.OK:
                steps.append(Recorded(name=f"question {number}, step {step.index + 1}", action=step.action, files=files))
                files = ()
            else:
                failed += 1
    return Plan(steps=tuple(steps), files=files, failed=failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Runs plans; holds what is the same for all of them."""

    limits: Limits = Limits()
    bounds: Bounds = Bounds()
    redactor: Redactor = field(default_factory=Redactor)
    clock: Callable[[], float] = time.monotonic

    async def turn(
        self,
        turn: Turn,
        plan: Plan,
        session: Session,
        *,
        load: Load,
        keep: Keep,
        lost: Callable[[], str],
        save: Save,
        show: Show,
        stop: asyncio.Event,
    ) -> Outcome:
        """Run the plan in an empty session, as the steps of `turn`, and say how that ended.

        A turn that has steps already was cut off by a crash: it is not begun again, since what ran may have had effects. `lost` says what the
        session has lost since it was empty. Errors of `save` and `show` propagate.
        """
        if turn.steps:
            return await _cut_off(turn, plan, save, show)
        if len(plan.steps) > STEPS:
            text = f"This conversation has {len(plan.steps)} recorded steps, and a rebuild runs {STEPS} at most. Ask me to make again what you need."
            return Outcome(ending=Ending.LIMIT, text=text, limit="rebuild_steps")
        began, done = self.clock(), 0
        problem: Outcome | None = None
        try:
            for index, recorded in enumerate(plan.steps):
                problem = self._over(stop, began) or _incomplete(recorded)
                if problem is None:
                    await _put(recorded.files, session, load)
                    execution = await self._run(index, recorded, session, save, show, stop)
                    problem = _problem(recorded, execution, lost())
                if problem is not None:
                    break
                done += 1
            else:
                await _put(plan.files, session, load)
        except (FileRefused, *SANDBOX_FAULTS) as error:
            problem = Outcome(ending=Ending.FAILED, text=str(error))
        state = await keep(problem is None)
        return _told(plan, done, self.clock() - began, state, problem)

    def _over(self, stop: asyncio.Event, began: float) -> Outcome | None:
        if stop.is_set():
            return Outcome(ending=Ending.STOPPED, text="Stopped.")
        if self.clock() - began >= SECONDS:
            return Outcome(ending=Ending.LIMIT, text=f"It took longer than the {SECONDS / 60:g} minutes of one rebuild.", limit="rebuild_seconds")
        return None

    async def _run(self, index: int, recorded: Recorded, session: Session, save: Save, show: Show, stop: asyncio.Event) -> Execution:
        thought = f"Again, {recorded.name}: {recorded.action.thought}".removesuffix(": ")
        step = Step(index=index, completion=Completion(text=""), action=replace(recorded.action, thought=thought))
        await save(step)
        await show(Thought(text=thought))
        await show(CodeStarted(index=index, code=recorded.action.code))
        try:
            seconds, bounds, redactor = self.limits.step_seconds, self.bounds, self.redactor
            execution = await execute(session, recorded.action.code, seconds=seconds, bounds=bounds, redactor=redactor, show=show, stop=stop)
        except SANDBOX_FAULTS:
            await _close(step, INTERRUPTED, save, show)
            raise
        await _close(step, execution, save, show)
        return execution


async def _close(step: Step, execution: Execution, save: Save, show: Show) -> None:
    closed = replace(step, execution=execution)
    await save(closed)
    await show(StepDone(step=closed))


async def _put(files: Sequence[File], session: Session, load: Load) -> None:
    for file in files:
        await session.put(await load(file))


async def _cut_off(turn: Turn, plan: Plan, save: Save, show: Show) -> Outcome:
    """Report a rebuild that a crash cut off."""
    last = turn.steps[-1]
    if last.execution is None:
        await _close(last, INTERRUPTED, save, show)
    done = sum(step.ran for step in turn.steps)
    after = "" if last.ran else f" Step {last.index + 1} was running and may have had effects."
    text = f"The rebuild was cut off after {done} of {len(plan.steps)} steps, and nothing was run twice.{after} {STAYS}"
    return Outcome(ending=Ending.FAILED, text=text, rebuild=len(plan.steps))


STAYS = "The variables and files are what they were before it."


def _incomplete(recorded: Recorded) -> Outcome | None:
    """Return why a step cannot run again where its record lacks a secret; None where it can."""
    if MARK not in recorded.action.code:
        return None
    return Outcome(ending=Ending.FAILED, text=f"A secret was left out of the record of {recorded.name}, so it cannot run again.")


def _problem(recorded: Recorded, execution: Execution, lost: str) -> Outcome | None:
    """Return why a rebuild cannot go on after a step; None where it can."""
    if execution.status is Status.STOPPED:
        return Outcome(ending=Ending.STOPPED, text="Stopped.")
    if execution.status is not Status.OK:
        error = execution.error
        why = f"{error.type}: {' '.join(error.message.split())[:200]}" if error else str(execution.status)
        return Outcome(ending=Ending.FAILED, text=f"What ran well then failed now: {recorded.name}, {why}.")
    return Outcome(ending=Ending.FAILED, text=f"The sandbox was lost on the way. {lost}") if lost else None


def _told(plan: Plan, done: int, seconds: float, state: Snapshot | None, problem: Outcome | None) -> Outcome:
    """Say what came of a rebuild."""
    left_out = f" {plan.failed} that had failed then {'was' if plan.failed == 1 else 'were'} left out." if plan.failed else ""
    ran = f"{done} of {len(plan.steps)} recorded steps ran again in {seconds:.1f} s."
    if problem is None:
        return Outcome(ending=Ending.ANSWERED, text=f"The state is rebuilt: {ran}{left_out}{_names(state)}")
    kept = _names(state) if state is not None else f" {STAYS}"
    return replace(problem, text=f"{problem.text} {ran}{left_out}{kept}", rebuild=len(plan.steps))


def _names(state: Snapshot | None) -> str:
    if state is None:
        return " It cannot be saved, so it lasts as long as this sandbox."
    if not state.names:
        return " There are no variables."
    more = f" and {len(state.names) - LISTED} more" if len(state.names) > LISTED else ""
    missing = f" Not kept when the sandbox sleeps: {', '.join(state.dropped[:LISTED])}." if state.dropped else ""
    return f" There are now: {', '.join(state.names[:LISTED])}{more}.{missing}"
