"""The budgets of a turn, each with its own outcome, and the detection of a model that turns in circles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codeact_bot.agent.reasoning import without_reasoning
from codeact_bot.types import Ending, Limits, Malformed, Outcome, RunCode, Status, Step, Usage

_SAME = 3
_ALTERNATING = 6
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
NUDGE = (
    "You are going in circles: the last steps did the same with the same result. Do not repeat them. "
    "Look at what you know, try a different way, or answer with what you have and say what does not work."
)
_AFTER_A_LOSS = (
    "Variables and files are as they were last saved: ask me to go on. "
    "If it happens again, ask for less at once, or have whoever runs the bot look at its log."
)


def exceeded(limits: Limits, steps: Sequence[Step], seconds: float) -> Outcome | None:
    """Return how the turn ends if a budget is used up after `steps` and `seconds`; None while it may go on."""
    usage = sum((step.completion.usage for step in steps), Usage())
    failures = failed_in_a_row(steps)
    if stuck(steps) and any(stuck(steps[:count]) for count in range(len(steps))):
        return _ended("stuck", "I kept repeating myself without getting further, so I stopped", steps)
    if failures >= limits.consecutive_errors and all(map(lost, steps[-failures:])):
        return _ended("consecutive_errors", f"{failures} times in a row the step was lost with its sandbox or worker, so I stopped", steps)
    if failures >= limits.consecutive_errors:
        return _ended("consecutive_errors", f"{failures} attempts in a row failed, so I stopped", steps)
    if len(steps) >= limits.steps:
        return _ended("steps", f"I used up all {limits.steps} steps of this turn before I had an answer", steps)
    if usage.tokens >= limits.tokens:
        return _ended("tokens", f"This turn used {usage.tokens:,} tokens, its budget is {limits.tokens:,}", steps)
    if usage.cost >= limits.cost > 0:
        return _ended("cost", f"This turn cost ${usage.cost:.2f}, its budget is ${limits.cost:.2f}", steps)
    if (printed := sum(map(output_bytes, steps))) > limits.output:
        return _ended("output", f"The code printed {printed:,} bytes, more than the {limits.output:,} of one turn", steps)
    return out_of_time(limits, steps) if seconds >= limits.turn_seconds else None


def out_of_time(limits: Limits, steps: Sequence[Step]) -> Outcome:
    """Return the outcome of a turn that used up its seconds."""
    return _ended("turn_seconds", f"This took longer than the {limits.turn_seconds:g} seconds of one turn", steps)


def nudge_due(steps: Sequence[Step]) -> bool:
    """Whether the model repeats itself for the first time in this turn."""
    return stuck(steps) and not any(stuck(steps[:count]) for count in range(len(steps)))


def stuck(steps: Sequence[Step]) -> bool:
    """Whether the last steps repeat: the same action and result 3 times, the same error 3 times, or two actions in turn 6 times.

    Steps that were lost do not count: a worker that dies is no fault of the model.
    """
    if steps and lost(steps[-1]):
        return False
    steps = [step for step in steps if not lost(step)]
    last = steps[-_SAME:]
    if len(last) == _SAME and (_equal([_did(step) for step in last]) or (_error(last[0]) and _equal([_error(step) for step in last]))):
        return True
    codes = [_code(step) for step in steps[-_ALTERNATING:]]
    return len(codes) == _ALTERNATING and _equal(codes[::2]) and _equal(codes[1::2]) and codes[0] != codes[1]


def failed(step: Step) -> bool:
    """Whether a step was an attempt that did not work."""
    return isinstance(step.action, Malformed) or (step.execution is not None and step.execution.status is not Status.OK)


def lost(step: Step) -> bool:
    """Whether a step was cut off by the end of its sandbox or worker."""
    return step.execution is not None and step.execution.status is Status.LOST


def failed_in_a_row(steps: Sequence[Step]) -> int:
    """Count the failed steps at the end."""
    count = 0
    while count < len(steps) and failed(steps[-1 - count]):
        count += 1
    return count


def error_history(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return one line for each failed step of the turn, oldest first."""
    return tuple(f"step {step.index + 1}: {_error(step)[:200]}" for step in steps if failed(step))


def output_bytes(step: Step) -> int:
    """Count what a step printed, what was cut included."""
    return len(step.execution.output.encode(errors="replace")) + step.execution.cut if step.execution else 0


def _ended(limit: str, why: str, steps: Sequence[Step]) -> Outcome:
    remedy = {
        "stuck": "Put the question another way, or tell me what to try.",
        "consecutive_errors": "Tell me what to do differently, or ask me to go on.",
        "output": "Ask me to print less.",
    }.get(limit, "Ask me to go on, or make the task smaller.")
    if steps and lost(steps[-1]):
        return Outcome(ending=Ending.LIMIT, text=f"{why}. {_AFTER_A_LOSS}", limit=limit)
    errors = error_history(steps)
    went_wrong = f" Last error, {' '.join(errors[-1].split())}." if errors and failed(steps[-1]) else ""
    return Outcome(ending=Ending.LIMIT, text=f"{why}. {remedy}{went_wrong}", limit=limit)


def _equal(values: Sequence[object]) -> bool:
    return all(value == values[0] for value in values)


def _code(step: Step) -> str:
    return step.action.code.strip() if isinstance(step.action, RunCode | Malformed) else without_reasoning(step.completion.text)


def _error(step: Step) -> str:
    """Return what went wrong in a step, without the addresses that differ from run to run; empty where nothing did."""
    if isinstance(step.action, Malformed):
        return step.action.reason
    if step.execution is None or step.execution.status is Status.OK:
        return ""
    error = step.execution.error
    return _ADDRESS.sub("0x", f"{error.type}: {error.message}") if error else str(step.execution.status)


def _did(step: Step) -> tuple[str, str, str, str]:
    run = step.execution
    output, value = (_ADDRESS.sub("0x", text or "") for text in ((run.output, run.value) if run else ("", "")))
    return _code(step), output, value, _error(step)
