"""What is said to the model, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from codeact_bot.types.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message as the model sees it."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model said in one step."""

    text: str
    """Up to the end of the first action; the stream is closed there."""
    usage: Usage = Usage()
    model: str = ""
    seconds: float = 0.0
    attempts: int = 1
    """Requests it took, the failed ones included."""
