"""The right to work on a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from codeact_bot.types.ids import ThreadId
from codeact_bot.types.message import Incoming


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one thread until `until`."""

    thread: ThreadId
    owner: str
    token: int
    """Fencing token: grows with every claim, and a write that carries an older one is refused."""
    incoming: Incoming
    """The message to answer now: the first of the thread's queue."""
    until: datetime
    ran: str = ""
    """The last step whose code ran in the thread, as `step_mark` names it; empty where none did."""
