"""Posts that asked for an approval, once that is answered: Approve and Decline give way to what came of them."""

from __future__ import annotations

import logging

from adapters.common.approvals import TAKEN_BACK
from adapters.common.counter import Counter
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.reply import Refused
from adapters.slack.pages import mark_of, marked, settled
from adapters.slack.places import Reference
from adapters.slack.wire import Wire
from codeact_bot.types import ThreadId, Turn

log = logging.getLogger(__name__)


async def left(wire: Wire, counter: Counter, place: str, thread: ThreadId | None) -> None:
    """Take the buttons away from what waits in a conversation that does not go on at a place any more; a failure of Slack is no matter."""
    asked = await counter.asking(thread) if thread and await counter.conversation(place) != thread else None
    try:
        if asked is not None:
            await settle(wire, asked, TAKEN_BACK)
    except (PlatformDown, TryLater) as error:
        log.info("The buttons of a turn that was taken back stay: %s", error, extra={"action": "settle"})


async def settle(wire: Wire, asked: Turn, said: str) -> None:
    """Take the buttons away and write `said` in their place; a post that is gone is no matter. Raises PlatformDown, TryLater."""
    first = Reference.parse(asked.reply)
    if first is None:
        return
    index, post = settled(asked, said)
    try:
        message = await _numbered(wire, first, mark_of(asked.id, index)) if index else first.message
        if message:
            await wire.update(first.channel, message, marked(post, asked.id, index))
    except Refused as error:
        log.warning("The buttons of turn %s stay, since Slack refuses: %s", asked.id, error, extra={"action": "settle"})


async def _numbered(wire: Wire, first: Reference, mark: str) -> str:
    """Return the time stamp of a further post; empty where it is gone."""
    for post in await wire.own_posts(first.channel, first.thread, first.message):
        if any(block.get("block_id") == mark for block in post.get("blocks") or ()):
            return str(post["ts"])
    return ""
