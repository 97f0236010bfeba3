"""Who a Discord user is to the access lists."""

from __future__ import annotations

import discord

from adapters.common.access import Visitor
from codeact_bot.types import Author


def visitor(user: discord.abc.User, guild: int | None, channel: object) -> Visitor:
    """Describe a person at a place; a thread counts as the channel it belongs to."""
    roles = tuple(str(role.id) for role in user.roles) if isinstance(user, discord.Member) else ()
    home = channel.parent_id if isinstance(channel, discord.Thread) else getattr(channel, "id", "")
    return Visitor(platform="discord", user=str(user.id), workspace=str(guild or ""), channel=str(home), roles=roles)


def author(user: discord.abc.User) -> Author:
    """Describe a person to the core."""
    return Author(id=str(user.id), name=user.display_name)
