"""Answering commands and buttons in time, privately."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

import discord

from adapters.common.access import REFUSED_ASK, REFUSED_STEER
from adapters.common.counter import Counter
from adapters.common.split import split
from adapters.discord.pages import LIMIT, units
from adapters.discord.people import author
from adapters.discord.places import place_of
from codeact_bot.errors import CodeactError
from codeact_bot.types import File

log = logging.getLogger(__name__)

SECONDS = 2.0
"""Discord wants a sign of life within three."""

Press = discord.Interaction[discord.Client]


async def attend(interaction: Press, work: Coroutine[Any, Any, str], counter: Counter) -> None:
    """Do the work of a command or button and tell the person its sentence, deferring where it takes long; a refusal is recorded."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=SECONDS)
        if not done and not interaction.response.is_done():
            await acknowledge(interaction)
        text = await task
    except CodeactError as error:
        text = str(error)
    if text in (REFUSED_ASK, REFUSED_STEER):
        await counter.refused(text, author(interaction.user), place_of(interaction.guild_id, interaction.channel_id or 0))
    if text:
        await tell(interaction, text)
    elif not interaction.response.is_done():
        await acknowledge(interaction, silent=True)


async def acknowledge(interaction: Press, *, silent: bool = False) -> None:
    """Tell Discord that the person's command or press has arrived."""
    try:
        await interaction.response.defer(ephemeral=True, thinking=not silent)
    except (discord.HTTPException, OSError) as error:
        log.warning("Could not acknowledge interaction %s: %s", interaction.id, error)


async def tell(interaction: Press, text: str, files: Sequence[File] = ()) -> None:
    """Say something that only this person sees."""
    pieces = split(text, LIMIT, units)
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        uploads = [discord.File(io.BytesIO(file.data or b""), filename=file.name) for file in files] if last else []
        try:
            if interaction.response.is_done():
                await interaction.followup.send(piece, ephemeral=True, files=uploads, suppress_embeds=True)
            else:
                await interaction.response.send_message(piece, ephemeral=True, files=uploads, suppress_embeds=True)
        except (discord.HTTPException, OSError) as error:
            log.warning("Could not answer interaction %s: %s", interaction.id, error)
            return


async def ask(interaction: Press, text: str, view: discord.ui.View) -> None:
    """Ask something that only this person sees, with buttons for the answer."""
    try:
        if interaction.response.is_done():
            await interaction.followup.send(text, ephemeral=True, view=view)
        else:
            await interaction.response.send_message(text, ephemeral=True, view=view)
    except (discord.HTTPException, OSError) as error:
        log.warning("Could not ask back in interaction %s: %s", interaction.id, error)
