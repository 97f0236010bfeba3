"""What people want to be asked by the clock in Discord, and where the answers go."""

from __future__ import annotations

import discord

from adapters.discord.people import author, visitor
from adapters.discord.places import Spot, Way, place_of
from codeact_bot.types import Order


def order(*, name: int, user: discord.abc.User, guild: int | None, channel: discord.abc.Messageable | None, channel_id: int) -> Order:
    """Return an order of somebody, its times still to be filled in; `name` tells this wish from others.

    In a thread or direct message each run goes on there, in a channel each begins a thread.
    """
    fresh = guild is not None and not isinstance(channel, discord.Thread)
    who = visitor(user, guild, channel)
    return Order(
        name=str(name),
        when="",
        question="",
        author=author(user),
        subjects=tuple(sorted(who.subjects())),
        zone="",
        home=f"{place_of(guild, 0).removesuffix('0')}s" if fresh else place_of(guild, channel_id),
        fresh=fresh,
        place=str(Spot(way=Way.ASK if fresh else Way.SAY, channel=channel_id)),
        channel=place_of(guild, int(who.channel or channel_id)),
    )
