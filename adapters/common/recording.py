"""What people do and look at, for the audit."""

from __future__ import annotations

import hashlib
import logging
from typing import Protocol

from codeact_bot.errors import CodeactError
from codeact_bot.types import Author, Deed, Entry, ThreadId, now

log = logging.getLogger(__name__)

RECORDED = 600
"""Seconds in which the same look is recorded once."""


class Records(Protocol):
    """Where it is written down: a Desk."""

    async def record(self, entry: Entry) -> None:
        """Add to the audit what somebody did, saw, or was refused. Raises StoreUnavailable."""


async def record(
    desk: Records, kind: Deed, author: Author, *, thread: ThreadId | None = None, turn: str = "", subject: str = "", text: str = ""
) -> None:
    """Add to the audit; what was done stands though the database does not take the record now."""
    try:
        await desk.record(Entry(kind=kind, author=author, thread=thread or ThreadId(""), turn=turn, subject=subject, text=text))
    except CodeactError as error:
        log.error("Not recorded that %s %s: %s", author.id, kind, error, extra={"action": "audit"})


def look(kind: Deed, author: Author, what: str, *, thread: ThreadId | None = None, turn: str = "") -> Entry:
    """Make the record of a look at something of others, or of its refusal; those of ten minutes at the same kind of page are one."""
    place = thread or ThreadId("")
    return Entry(kind=kind, key=once(f"{kind} {author.id} {place} {what}"), author=author, thread=place, turn=turn, subject=what)


def once(name: str) -> str:
    """Return the key of what is recorded once in ten minutes."""
    return hashlib.sha256(f"{name} {now().timestamp() // RECORDED:.0f}".encode("utf-8", "replace")).hexdigest()
