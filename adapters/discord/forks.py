"""Forks in Discord: each goes on in a thread of its own; where there are none, in place of the conversation before it."""

from __future__ import annotations

import logging

import discord

from adapters.common.counter import Counter
from adapters.common.forks import elsewhere, here
from adapters.common.neutral import discord_markdown
from adapters.common.pace import PlatformDown, TryLater
from adapters.discord.pages import title
from adapters.discord.people import author
from adapters.discord.places import Reference, guild_of, place_of
from adapters.discord.wire import Wire, nonce
from codeact_bot.types import Fork, Turn

log = logging.getLogger(__name__)


async def fork(wire: Wire, counter: Counter, turn: Turn, interaction: discord.Interaction) -> str:
    """Fork right after a turn, post where it goes on, and return a sentence for the person."""
    made = await counter.fork(turn, author(interaction.user))
    if isinstance(made, str):
        return made
    try:
        return await _open(wire, counter, turn, made, interaction)
    except (PlatformDown, TryLater, discord.HTTPException) as error:
        log.error("Discord did not let a fork be posted: %s", error)
        return f"Discord did not let me do that ({error}). Try again in a minute."


async def _open(wire: Wire, counter: Counter, turn: Turn, made: Fork, interaction: discord.Interaction) -> str:
    """Post where a fork goes on, and let it go on there."""
    assert interaction.channel_id is not None
    parent, name = _with_threads(interaction), interaction.user.display_name
    if parent is None:
        await wire.send(interaction.channel_id, discord_markdown(here(name, made, turn)), name=nonce("fork", interaction.id))
        await counter.desk.move(place_of(interaction.guild_id, interaction.channel_id), made.thread)
        return ""
    root = await wire.send(parent.id, _text(name, made, turn), name=nonce("fork", interaction.id))
    thread = await wire.thread(parent.id, root, title(f"Fork: {turn.incoming.text}"))
    await counter.desk.move(place_of(interaction.guild_id, thread), made.thread)
    return f"The fork goes on in <#{thread}>."


def _with_threads(interaction: discord.Interaction) -> discord.TextChannel | None:
    """Return the channel in which a thread can be made for what goes on here; None where there is none."""
    found = interaction.channel.parent if isinstance(interaction.channel, discord.Thread) else interaction.channel
    if not isinstance(found, discord.TextChannel):
        return None
    may = found.permissions_for(found.guild.me)
    return found if may.view_channel and may.send_messages and may.create_public_threads else None


def _text(name: str, made: Fork, turn: Turn) -> str:
    before, source, after = (discord_markdown(part) for part in elsewhere(name, made, turn))
    found = Reference.parse(turn.reply)
    guild = guild_of(turn.incoming.thread)
    link = f" (https://discord.com/channels/{guild}/{found.channel}/{found.message})" if found and guild else ""
    return f"{before}{source}{link}{after}"
