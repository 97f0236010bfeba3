"""Posts that asked for an approval, once that is answered: Approve and Decline give way to what came of them."""

from __future__ import annotations

import logging

import discord

from adapters.common.approvals import HOW, TAKEN_BACK
from adapters.common.counter import Counter
from adapters.common.pace import PlatformDown, TryLater
from adapters.discord.buttons import when_done
from adapters.discord.pages import final, small
from adapters.discord.places import Reference, guild_of
from adapters.discord.wire import Wire
from codeact_bot.types import ThreadId, Turn

log = logging.getLogger(__name__)


async def left(wire: Wire, counter: Counter, place: str, thread: ThreadId | None) -> None:
    """Take the buttons away from what waits in a conversation that does not go on at a place any more; a failure of Discord is no matter."""
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
    text = final(asked, wire.upload_limit(guild_of(asked.incoming.thread)))[0].content.replace(small(HOW), small(said))
    try:
        await wire.edit(first.channel, first.message, text, when_done(asked, asks=False))
    except discord.HTTPException as error:
        log.warning("The buttons of turn %s stay, since Discord refuses: %s", asked.id, error, extra={"action": "settle"})
