"""What a worker does, what waits for it, and whether all is well."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum

from codeact_bot.types.ids import ThreadId


class Activity(StrEnum):
    """What a worker spends its time on."""

    TURN = "turn"
    """Answering a message, from the claim until the answer is on its way."""
    CLAIM = "claim"
    """Taking a message off the queue and opening its turn."""
    START = "sandbox start"
    RESTORE = "sandbox restore"
    MODEL = "model request"
    """One completion, requests that failed and were repeated included."""
    EXECUTION = "execution"
    SNAPSHOT = "snapshot"
    DELIVERY = "delivery"
    """Bringing an answer to the platform, until it has arrived."""
    FIRE = "scheduled run"
    """Sending the message of a schedule that is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work from its beginning to its end, as measures and traces see it."""

    what: Activity
    thread: ThreadId | None = None
    """The conversation it is for; None for what no conversation asked for, such as filling the pool."""
    turn: str = ""
    """The turn's id, where it is known at the beginning."""
    step: int | None = None
    since: float = field(default_factory=time.perf_counter)
    """When it began, by `time.perf_counter`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in the store, by its own clock."""

    waiting: int = 0
    """Messages that nobody answers yet."""
    waiting_seconds: float = 0.0
    """How long the oldest of them has waited."""
    running: int = 0
    """Conversations that a live lease holds."""
    running_seconds: float = 0.0
    """How long the oldest of these leases has been held."""
    owed: int = 0
    """Answers that have not arrived at their platforms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of `codeact-bot doctor`, or of what a worker says of itself."""

    name: str
    """What was looked at: `Docker`, `MongoDB`."""
    ok: bool | None
    """True: works. False: does not. None: not there, and not needed."""
    text: str
    """What was found."""
    remedy: str = ""
    """What to do about it, where something is to be done."""
