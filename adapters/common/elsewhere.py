"""Answers to questions that were asked elsewhere, and so are repeated where the answer is posted."""

from __future__ import annotations

from codeact_bot.ports import Desk
from codeact_bot.types import WEB, Turn


async def posted_before(desk: Desk, turn: Turn) -> str:
    """The reference of another post of the turn's conversation, by which its place is found; empty where that is not needed, or there is none."""
    if not turn.incoming.via:
        return ""
    others = [each for each in await desk.turns(turn.incoming.thread, last=50) if each.id != turn.id and not each.incoming.place.startswith(WEB)]
    return next((each.reply for each in reversed(others) if each.reply), "")


def quoted(text: str) -> str:
    """Return Markdown as a quotation."""
    return "\n".join(f"> {line}" for line in text.split("\n"))
