"""What conversations and steps are called."""

from __future__ import annotations

from typing import NewType

ThreadId = NewType("ThreadId", str)
"""Names a conversation, platform first: `slack:T1:C1:1712.3`, `terminal:4f1c9a`."""

WEB = "web:"
"""Beginning of the ids of conversations that were begun in the web chat, and the place of answers that appear nowhere else."""


def step_mark(turn_id: str, index: int) -> str:
    """Name a step among all steps."""
    return f"{turn_id}/{index}"
