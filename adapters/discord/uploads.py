"""Files that people attach, on their way into the working folder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import aiohttp
import discord

from adapters.common.files import free_name
from adapters.render import size_text
from codeact_bot.types import Bounds, File

log = logging.getLogger(__name__)

LIMIT = Bounds().file_bytes
ATTEMPTS = 3


async def download(attachments: Sequence[discord.Attachment]) -> tuple[tuple[File, ...], list[str]]:
    """Fetch attachments; returns them, and a sentence for each that could not be taken."""
    files: list[File] = []
    refused: list[str] = []
    for attachment in attachments:
        name = free_name(attachment.filename, [file.name for file in files])
        if attachment.size > LIMIT:
            refused.append(f"`{name}` is {size_text(attachment.size)}, and I take files up to {size_text(LIMIT)}: send a smaller part of it.")
            continue
        data = await fetch(attachment)
        if data is None:
            refused.append(f"I could not fetch `{name}` from Discord: send it again, please.")
        else:
            files.append(File.of(name, data))
    return tuple(files), refused


async def fetch(attachment: discord.Attachment) -> bytes | None:
    """Return an attachment's bytes; None where Discord does not give them after several attempts."""
    for attempt in range(ATTEMPTS):
        try:
            return await attachment.read()
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("Could not fetch the attachment %s: %s", attachment.id, error)
            if isinstance(error, discord.NotFound | discord.Forbidden):
                return None
            await asyncio.sleep(attempt)
    return None
