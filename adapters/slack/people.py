"""What people write in Slack, as plain text, and who they are to the access lists."""

from __future__ import annotations

import html
import re

from adapters.common.access import Visitor
from adapters.slack.wire import Wire

_TOKEN = re.compile(r"<([@#!]?)([^>|]+)(?:\|([^>]*))?>")


def visitor(user: str, team: str, channel: str) -> Visitor:
    """Describe a person at a place."""
    return Visitor(platform="slack", user=user, workspace=team, channel=channel)


async def plain(text: str, bot: str, wire: Wire) -> str:
    """Return what a message asks: without the mention of the bot, names for people and channels, links as addresses."""
    parts, at = [], 0
    for token in _TOKEN.finditer(text):
        parts += [text[at : token.start()], await _shown(token, bot, wire)]
        at = token.end()
    return html.unescape("".join([*parts, text[at:]])).strip()


async def _shown(token: re.Match[str], bot: str, wire: Wire) -> str:
    kind, name, label = token[1], token[2], token[3] or ""
    if kind == "@":
        return "" if name == bot else f"@{label or await wire.name(name)}"
    if kind == "#":
        return f"#{label or name}"
    if kind == "!":
        return label or f"@{name.partition('^')[0]}"
    address = name.removeprefix("mailto:")
    return address if label in ("", address) else f"{label} ({address})"
