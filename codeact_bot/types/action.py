"""What the model wants to do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCode:
    """The model wants this Python to run."""

    thought: str
    """The prose before the block."""
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The model wants this Python to run, and a person has to approve it first: nothing has run."""

    thought: str
    """The prose before the block."""
    code: str

    @property
    def digest(self) -> str:
        """SHA-256 of the code, hexadecimal."""
        return hashlib.sha256(self.code.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The model has answered; the turn is over."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """The model tried to act and did not manage; it is told how."""

    thought: str
    code: str
    """What stood in the block."""
    reason: str
    """One or two sentences for the model: what is wrong and what to write instead."""


Action = RunCode | Proposal | Answer | Malformed
