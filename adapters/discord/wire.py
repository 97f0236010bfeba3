"""What the adapter asks of Discord's REST API, with its failures sorted into later, never and no matter."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

import aiohttp
import discord

from adapters.common.pace import PlatformDown, TryLater
from codeact_bot.types import File

log = logging.getLogger(__name__)

UNKNOWN_MESSAGE = 10008
THREAD_EXISTS = 160004
THREAD_ARCHIVED = 50083
WAIT_SECONDS = 30.0
"""discord.py itself waits for a rate limit as long as this; a longer one is left to the pace of the post."""
ARCHIVED_AFTER: Final = 10080
"""Minutes of silence after which Discord archives a thread: a week. A message in it brings it back."""
SCANNED = 100
"""Messages that are looked through for what was posted, or missed."""


@contextmanager
def heeding() -> Iterator[None]:
    """Turn what will pass into TryLater and PlatformDown; other errors of discord.py go through."""
    try:
        yield
    except discord.RateLimited as error:
        raise TryLater(error.retry_after) from error
    except discord.HTTPException as error:
        if error.status == 429:
            raise TryLater(float(error.response.headers.get("Retry-After", "5"))) from error
        if error.status >= 500 or error.status == 401:
            raise PlatformDown(f"Discord answers {error.status}.") from error
        raise
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PlatformDown("Discord cannot be reached.") from error


def nonce(*parts: object) -> str:
    """Name a message, so that Discord drops a second sending of it within minutes."""
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:24]


class Wire:
    """Posts, edits and looks up messages. Raises TryLater, PlatformDown and, for what will never work, discord.HTTPException."""

    def __init__(self, client: discord.Client) -> None:
        """Speak through a client, once it has logged in."""
        self._client = client
        self.ready = False

    def _channel(self, channel: int) -> discord.PartialMessageable:
        if not self.ready:
            raise PlatformDown("The bot has not logged in to Discord yet.")
        return self._client.get_partial_messageable(channel)

    def _http(self, channel: int) -> discord.http.HTTPClient:
        self._channel(channel)
        return self._client.http

    async def send(self, channel: int, content: str, *, name: str, view: discord.ui.View | None = None, files: Sequence[File] = ()) -> int:
        """Post a message and return its id; it never pings and never unfurls a link."""
        with heeding():
            uploads = [upload(file) for file in files]
            extra = {} if view is None else {"view": view}
            sent = await self._channel(channel).send(content, nonce=name, files=uploads, suppress_embeds=True, **extra)  # type: ignore[call-overload]
            return int(sent.id)

    async def edit(self, channel: int, message: int, content: str, view: discord.ui.View | None) -> bool:
        """Replace a message's text and buttons; False where someone has deleted it."""
        target = self._channel(channel).get_partial_message(message)
        with heeding():
            try:
                await target.edit(content=content, view=view)
            except discord.HTTPException as error:
                if error.code == UNKNOWN_MESSAGE:
                    return False
                if error.code != THREAD_ARCHIVED:
                    raise
                await self._http(channel).edit_channel(channel, archived=False)
                await target.edit(content=content, view=view)
        return True

    async def delete(self, channel: int, message: int) -> None:
        """Delete one of the bot's own messages; one that is gone is no matter."""
        with heeding():
            try:
                await self._channel(channel).get_partial_message(message).delete()
            except discord.NotFound:
                log.debug("Message %s is gone already", message)

    async def thread(self, channel: int, message: int, name: str) -> int:
        """Make a thread from a message, or find the one made before; return its id."""
        with heeding():
            try:
                made = await self._http(channel).start_thread_with_message(channel, message, name=name, auto_archive_duration=ARCHIVED_AFTER)
            except discord.HTTPException as error:
                if error.code != THREAD_EXISTS:
                    raise
                return message
        return int(made["id"])

    async def posts(self, channel: discord.abc.Messageable, after: int) -> list[discord.Message]:
        """Return the last messages of a channel that are newer than an id."""
        with heeding():
            return [post async for post in channel.history(limit=SCANNED, after=discord.Object(after), oldest_first=False)]

    async def own_posts(self, channel: int, after: int) -> list[discord.Message]:
        """Return the bot's own messages after a message or time, oldest first."""
        me = self._client.user
        with heeding():
            posts = self._channel(channel).history(limit=SCANNED, after=discord.Object(after), oldest_first=True)
            return [post async for post in posts if me is not None and post.author.id == me.id]

    async def mark(self, channel: int, message: int, emoji: str) -> None:
        """Put a reaction on a message; a failure is no matter."""
        try:
            with heeding():
                await self._channel(channel).get_partial_message(message).add_reaction(emoji)
        except (discord.HTTPException, PlatformDown, TryLater) as error:
            log.info("Could not react to message %s: %s", message, error)

    async def unmark(self, channel: int, message: int, emoji: str) -> None:
        """Take the bot's reaction away; a failure is no matter."""
        me = self._client.user
        try:
            with heeding():
                await self._channel(channel).get_partial_message(message).remove_reaction(emoji, me or discord.Object(0))
        except (discord.HTTPException, PlatformDown, TryLater) as error:
            log.info("Could not take a reaction from message %s: %s", message, error)

    def upload_limit(self, guild: int | None) -> int:
        """Return the bytes that a file may have there."""
        found = self._client.get_guild(guild) if guild else None
        return found.filesize_limit if found is not None else discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES


def upload(file: File) -> discord.File:
    """Make what discord.py uploads; a picture says what it is to people who cannot see it."""
    assert file.data is not None
    name = PurePosixPath(file.name).name or "file"
    picture = name.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".webp"))
    return discord.File(io.BytesIO(file.data), filename=name, description=f"Picture {name}, made by the code of this answer" if picture else None)
