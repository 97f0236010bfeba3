"""Finished steps, folded to one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.render import count, one_line, step_ok, step_summary
from codeact_bot.types import Answer, Incoming, Malformed, RunCode, Step, Turn

FOLDED = 10
"""Finished steps that keep a line of their own."""


def folded(steps: Sequence[Step]) -> list[str]:
    """Write one line per finished step that ran, or tried to."""
    lines = [f"{'✓' if step_ok(step) else '✗'} {step_summary(step)}{purpose(step)}" for step in steps if not isinstance(step.action, Answer)]
    hidden = len(lines) - FOLDED
    return lines if hidden <= 0 else [f"… {count(hidden, 'step')} before", *lines[hidden:]]


def asked_by_clock(incoming: Incoming) -> str:
    """Say which schedule asks a question; empty for what a person asked."""
    return f"{incoming.fire.said}, scheduled by {incoming.author.name}" if incoming.fire else ""


def late(turn: Turn) -> str:
    """Say that a scheduled run came late, or others did not come; empty where all is well, or where that is the answer already."""
    fire = turn.incoming.fire
    return fire.note if fire and not fire.skipped else ""


def purpose(step: Step) -> str:
    """Return what the step was for, in the model's own first line."""
    thought = step.action.thought if isinstance(step.action, RunCode | Malformed) else ""
    first = one_line(re.sub(r"^#+ |[`*]", "", thought.strip().partition("\n")[0]), 80)
    return f" · {first}" if first else ""
