"""Files that people attach, on their way into the working folder."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from adapters.common.files import free_name
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.reply import Refused
from adapters.render import size_text
from adapters.slack.wire import Wire
from codeact_bot.types import Bounds, File

log = logging.getLogger(__name__)

LIMIT = Bounds().file_bytes
ATTEMPTS = 3


async def download(wire: Wire, attached: tuple[dict[str, Any], ...]) -> tuple[tuple[File, ...], list[str]]:
    """Fetch attachments; returns them, and a sentence for each that could not be taken."""
    files: list[File] = []
    refused: list[str] = []
    for each in attached:
        name = free_name(str(each.get("name") or "file"), [file.name for file in files])
        data = await fetch(wire, each)
        if data is None:
            refused.append(f"I could not fetch `{name}` from Slack: send it again, please.")
        elif max(len(data), int(each.get("size") or 0)) > LIMIT:
            size = size_text(int(each.get("size") or len(data)))
            refused.append(f"`{name}` is {size}, and I take files up to {size_text(LIMIT)}: send a smaller part.")
        else:
            files.append(File.of(name, data))
    return tuple(files), refused


async def fetch(wire: Wire, attached: dict[str, Any]) -> bytes | None:
    """Return an attachment's bytes, none for one that is too large; None where Slack does not give them after several attempts."""
    address = attached.get("url_private_download") or attached.get("url_private")
    if not address:
        return None
    if int(attached.get("size") or 0) > LIMIT:
        return b""
    for attempt in range(ATTEMPTS):
        try:
            return await wire.download(str(address), LIMIT)
        except Refused as error:
            log.warning("Slack does not give the file %s: %s. The app needs the scope files:read.", attached.get("id"), error)
            return None
        except (PlatformDown, TryLater) as error:
            log.warning("Could not fetch the file %s: %s", attached.get("id"), error)
            await asyncio.sleep(attempt)
    return None
