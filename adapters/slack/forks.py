"""Forks in Slack: each goes on in a thread of its own, below a message that says where it comes from."""

from __future__ import annotations

import logging

from adapters.common.counter import Counter
from adapters.common.forks import elsewhere
from adapters.common.neutral import slack_text
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.reply import Refused
from adapters.slack.caller import Caller
from adapters.slack.markdown import Block, rich
from adapters.slack.pages import Post
from adapters.slack.places import Reference, place_of
from adapters.slack.wire import Wire
from codeact_bot.types import Fork, Turn

log = logging.getLogger(__name__)


async def fork(wire: Wire, counter: Counter, turn: Turn, caller: Caller) -> str:
    """Fork right after a turn, post where it goes on, and return a sentence for the person. Raises PlatformDown, Refused, TryLater."""
    made = await counter.fork(turn, caller.author)
    if isinstance(made, str):
        return made
    found = Reference.parse(turn.reply)
    source = await _link(wire, found.channel, found.message) if found else ""
    root = await wire.post(caller.channel, "", _post(await wire.name(caller.user), made, turn, source))
    await counter.desk.move(place_of(caller.team, caller.channel, root), made.thread)
    address = await _link(wire, caller.channel, root)
    return f"The fork goes on in [a thread of its own]({address})." if address else "The fork goes on in a thread of its own."


def _post(name: str, made: Fork, turn: Turn, address: str) -> Post:
    before, source, after = elsewhere(name, made, turn)
    link: Block = {"type": "link", "url": address, "text": source} if address else {"type": "text", "text": source}
    parts: list[Block] = [{"type": "text", "text": before}, link, {"type": "text", "text": after}]
    return Post(blocks=(rich([{"type": "rich_text_section", "elements": parts}]),), text=slack_text(before + source + after))


async def _link(wire: Wire, channel: str, message: str) -> str:
    """Return the address of a message; empty where Slack does not give it."""
    try:
        return await wire.link(channel, message)
    except (PlatformDown, Refused, TryLater) as error:
        log.info("There is no link to message %s: %s", message, error)
        return ""
