"""Finished steps, folded to one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.render import count, one_line, step_ok, step_summary
from codeact_bot.types import Answer, Malformed, RunCode, Step

FOLDED = 10
"""Finished steps that keep a line of their own."""


def folded(steps: Sequence[Step]) -> list[str]:
    """Write one line per finished step that ran, or tried to."""
    lines = [f"{'✓' if step_ok(step) else '✗'} {step_summary(step)}{purpose(step)}" for step in steps if not isinstance(step.action, Answer)]
    hidden = len(lines) - FOLDED
    return lines if hidden <= 0 else [f"… {count(hidden, 'step')} before", *lines[hidden:]]


def purpose(step: Step) -> str:
    """Return what the step was for, in the model's own first line."""
    thought = step.action.thought if isinstance(step.action, RunCode | Malformed) else ""
    first = one_line(re.sub(r"[`*]", "", thought.strip().partition("\n")[0]), 80)
    return f" · {first}" if first else ""
