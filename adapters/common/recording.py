"""What people do on a chat platform, for the audit."""

from __future__ import annotations

import logging

from codeact_bot.errors import CodeactError
from codeact_bot.ports import Desk
from codeact_bot.types import Author, Deed, Entry, ThreadId

log = logging.getLogger(__name__)


async def record(
    desk: Desk, kind: Deed, author: Author, *, thread: ThreadId | None = None, turn: str = "", subject: str = "", text: str = ""
) -> None:
    """Add to the audit; what was done stands though the database does not take the record now."""
    try:
        await desk.record(Entry(kind=kind, author=author, thread=thread or ThreadId(""), turn=turn, subject=subject, text=text))
    except CodeactError as error:
        log.error("Not recorded that %s %s: %s", author.id, kind, error, extra={"action": "audit"})
