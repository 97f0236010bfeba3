"""Finished steps, folded to one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.render import count, one_line, step_mark, step_summary, trouble
from codeact_bot.types import Answer, Incoming, Malformed, Proposal, RunCode, Status, Step, Turn

FOLDED = 10
"""Finished steps that keep a line of their own."""
REMARKS = 3
"""Sentences on one step that are shown below its line."""
REMARK = 200
"""Characters of one of them."""


def folded(steps: Sequence[Step]) -> list[str]:
    """Write one line per finished step that ran, or tried to, and what was left out or lost below it."""
    acted = [step for step in steps if not isinstance(step.action, Answer)]
    hidden = len(acted) - FOLDED
    lines = [line for step in acted[max(0, hidden) :] for line in (_line(step), *_remarks(step))]
    return lines if hidden <= 0 else [f"… {count(hidden, 'step')} before", *lines]


def _line(step: Step) -> str:
    return f"{step_mark(step)} {step_summary(step)}{purpose(step)}"


def _remarks(step: Step) -> list[str]:
    execution = step.execution
    if execution is None:
        return []
    lost = execution.state_lost or execution.status is Status.LOST
    sentences = [*([trouble(execution)] if lost else []), *execution.notes]
    return [f"    {one_line(sentence, REMARK)}" for sentence in sentences[:REMARKS]]


def asked_by_clock(incoming: Incoming) -> str:
    """Say which schedule asks a question; empty for what a person asked."""
    return f"{incoming.fire.said}, scheduled by {incoming.author.name}" if incoming.fire else ""


def late(turn: Turn) -> str:
    """Say that a scheduled run came late, or others did not come; empty where all is well, or where that is the answer already."""
    fire = turn.incoming.fire
    return fire.note if fire and not fire.skipped else ""


def purpose(step: Step) -> str:
    """Return what the step was for, in the model's own first line."""
    thought = step.action.thought if isinstance(step.action, RunCode | Proposal | Malformed) else ""
    first = one_line(re.sub(r"^#+ |[`*]", "", thought.strip().partition("\n")[0]), 80)
    return f" · {first}" if first else ""
