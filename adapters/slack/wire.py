"""What the adapter asks of Slack's Web API, with its failures sorted into later, never and no matter."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.common.pace import PlatformDown, TryLater
from adapters.common.reply import Refused
from adapters.slack.faults import ABSENT, heeding
from adapters.slack.markdown import Block
from adapters.slack.pages import Post
from codeact_bot.types import File

log = logging.getLogger(__name__)

SECONDS = 20
"""How long a request may take."""
NO_BLOCKS = ("invalid_blocks", "msg_blocks_too_long", "invalid_attachments", "msg_too_long")
GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
NAMES = 5_000
"""People whose names are remembered."""
NAME_SECONDS = 3600.0
SCANNED = 100
"""Messages that are looked through for what was posted already."""
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


class Wire:
    """Posts, edits and looks up messages. Raises TryLater, PlatformDown, Refused."""

    def __init__(self, token: str, base_url: str) -> None:
        """Speak as the owner of a bot token; connects when first used."""
        self.client = AsyncWebClient(token=token, base_url=base_url, timeout=SECONDS, retry_handlers=[])
        self._token = token
        self.lacking: set[str] = set()
        """Features that this workspace does not have: `streams`, `sessions`."""
        self._people: OrderedDict[str, tuple[float, str, str]] = OrderedDict()

    async def open(self) -> None:
        """Use one pool of connections from now on, instead of a new connection per request."""
        self.client.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))

    async def aclose(self) -> None:
        """Close the connections."""
        session, self.client.session = self.client.session, None
        if session is not None:
            await session.close()

    async def post(self, channel: str, thread: str, post: Post) -> str:
        """Post a message and return its time stamp; it never pings by its text and never unfurls a link."""
        given: dict[str, Any] = {"channel": channel, "text": post.text, "unfurl_links": False, "unfurl_media": False, "parse": "none"}
        if thread:
            given["thread_ts"] = thread
        try:
            with heeding():
                sent = await self.client.chat_postMessage(**given, blocks=list(post.blocks) or None)
        except Refused as error:
            if not str(error).startswith(NO_BLOCKS) or not post.blocks:
                raise
            log.error("Slack does not take the blocks of a post (%s); it gets the text alone", error, extra={"action": "show"})
            with heeding():
                sent = await self.client.chat_postMessage(**given)
        return str(sent["ts"])

    async def update(self, channel: str, message: str, post: Post) -> bool:
        """Replace a message; False where someone has deleted it."""
        try:
            with heeding():
                await self.client.chat_update(channel=channel, ts=message, text=post.text, blocks=list(post.blocks), parse="none")
        except Refused as error:
            if str(error) not in GONE:
                raise
            return False
        return True

    async def start_stream(self, chunks: Sequence[Block], where: dict[str, str]) -> str:
        """Begin a message that is typed out, and return its time stamp."""
        with self._optional("streams"), heeding():
            return str((await self.client.chat_startStream(chunks=chunks, **where))["ts"])

    async def append_stream(self, channel: str, message: str, chunks: Sequence[Block]) -> None:
        """Type on."""
        with heeding():
            await self.client.chat_appendStream(channel=channel, ts=message, chunks=chunks)

    async def stop_stream(self, channel: str, message: str) -> None:
        """End a stream; one that Slack has ended is no matter."""
        try:
            with heeding():
                await self.client.chat_stopStream(channel=channel, ts=message)
        except Refused as error:
            log.info("Could not end the stream %s: %s", message, error)

    async def session(self, channel: str, thread: str, user: str, status: str) -> None:
        """Show in Slack's own way that the agent works in a thread (`processing`) or does not (`active`); a failure is no matter."""
        if "sessions" in self.lacking or not thread:
            return
        try:
            with self._optional("sessions"), heeding():
                await self.client.agents_sessions_setStatus(channel_id=channel, thread_ts=thread, status=status, initiator_user_id=user)
        except (PlatformDown, Refused, TryLater) as error:
            log.info("Could not set the status of thread %s: %s", thread, error)

    @contextmanager
    def _optional(self, feature: str) -> Iterator[None]:
        """Remember that this workspace does not have a feature."""
        try:
            yield
        except Refused as error:
            if str(error) in ABSENT:
                self.lacking.add(feature)
                log.info("This workspace has no %s (%s)", feature, error)
            raise

    async def delete(self, channel: str, message: str) -> None:
        """Delete one of the bot's own messages; one that is gone is no matter."""
        try:
            with heeding():
                await self.client.chat_delete(channel=channel, ts=message)
        except Refused as error:
            log.info("Could not delete message %s: %s", message, error)

    async def own_posts(self, channel: str, thread: str, since: str) -> list[Block]:
        """Return the bot's own messages of a thread, or of the top of a channel, since a time stamp, oldest first."""
        with heeding():
            if thread:
                found = await self.client.conversations_replies(channel=channel, ts=thread, oldest=since, limit=SCANNED)
            else:
                found = await self.client.conversations_history(channel=channel, oldest=since, limit=SCANNED)
        posts = [each for each in found["messages"] if each.get("bot_id") and float(each["ts"]) >= float(since or 0)]
        return sorted(posts, key=lambda each: float(each["ts"]))

    async def message(self, channel: str, thread: str, ts: str) -> Block | None:
        """Return a message as it is now; None where it is gone."""
        with heeding():
            if thread:
                found = await self.client.conversations_replies(channel=channel, ts=thread, oldest=ts, latest=ts, inclusive=True)
            else:
                found = await self.client.conversations_history(channel=channel, oldest=ts, latest=ts, inclusive=True, limit=1)
        return next((dict(each) for each in found["messages"] if each["ts"] == ts), None)

    async def upload(self, channel: str, thread: str, files: Sequence[File], head: Sequence[Block] = ()) -> None:
        """Upload files in one message, below `head` where Slack takes that; a picture says what it is to people who cannot see it."""
        uploads = []
        for file in files:
            name = PurePosixPath(file.name).name or "file"
            alt = {"alt_txt": f"Picture {name}, made by the code of this answer"} if name.lower().endswith(PICTURES) else {}
            uploads.append({"content": file.data, "filename": name, "title": name, **alt})
        above: dict[str, Any] = {"blocks": json.dumps(list(head))} if head else {}
        try:
            with heeding():
                await self.client.files_upload_v2(file_uploads=uploads, channel=channel, thread_ts=thread or None, **above)
        except Refused as error:
            if not head or str(error) not in NO_BLOCKS:
                raise
            await self.upload(channel, thread, files)

    async def whisper(self, channel: str, user: str, thread: str, text: str, blocks: Sequence[Block] = ()) -> None:
        """Say something that only this person sees; a failure is no matter."""
        try:
            with heeding():
                await self.client.chat_postEphemeral(channel=channel, user=user, text=text, thread_ts=thread or None, blocks=list(blocks) or None)
        except (PlatformDown, Refused, TryLater) as error:
            log.warning("Could not tell %s something in %s: %s", user, channel, error)

    async def say(self, channel: str, thread: str, post: Post) -> None:
        """Post a note; a failure is no matter."""
        try:
            await self.post(channel, thread, post)
        except (PlatformDown, Refused, TryLater) as error:
            log.warning("Could not post a note in %s: %s", channel, error)

    async def mark(self, channel: str, message: str, emoji: str) -> None:
        """Put a reaction on a message; a failure is no matter."""
        try:
            with heeding():
                await self.client.reactions_add(channel=channel, timestamp=message, name=emoji)
        except (PlatformDown, Refused, TryLater) as error:
            log.info("Could not react to message %s: %s", message, error)

    async def unmark(self, channel: str, message: str, emoji: str) -> None:
        """Take the bot's reaction away; a failure is no matter."""
        try:
            with heeding():
                await self.client.reactions_remove(channel=channel, timestamp=message, name=emoji)
        except (PlatformDown, Refused, TryLater) as error:
            log.info("Could not take a reaction from message %s: %s", message, error)

    async def show(self, trigger: str, view: Block) -> None:
        """Open a modal."""
        with heeding():
            await self.client.views_open(trigger_id=trigger, view=view)

    async def publish_home(self, user: str, post: Post) -> None:
        """Fill a person's home tab; a failure is no matter."""
        try:
            with heeding():
                await self.client.views_publish(user_id=user, view={"type": "home", "blocks": list(post.blocks)})
        except (PlatformDown, Refused, TryLater) as error:
            log.warning("Could not fill the home tab of %s: %s", user, error)

    async def link(self, channel: str, message: str) -> str:
        """Return the address of a message."""
        with heeding():
            return str((await self.client.chat_getPermalink(channel=channel, message_ts=message))["permalink"])

    async def reaches(self, channel: str) -> bool:
        """Whether the bot may post in a channel."""
        try:
            with heeding():
                found = (await self.client.conversations_info(channel=channel))["channel"]
        except Refused:
            return False
        return bool(found.get("is_member") or found.get("is_im") or not found.get("is_private"))

    async def direct(self, user: str) -> str:
        """Return the channel of direct messages with a person."""
        with heeding():
            return str((await self.client.conversations_open(users=user))["channel"]["id"])

    async def name(self, user: str) -> str:
        """Return what to call a person; the id where Slack does not tell."""
        return (await self._person(user))[0]

    async def zone(self, user: str) -> str:
        """Return a person's time zone, by its IANA name; empty where Slack does not tell."""
        return (await self._person(user))[1]

    async def _person(self, user: str) -> tuple[str, str]:
        """Return a person's name and time zone, as they were a while ago at most."""
        known = self._people.get(user)
        if known is not None and time.monotonic() - known[0] < NAME_SECONDS:
            return known[1:]
        try:
            with heeding():
                person = (await self.client.users_info(user=user))["user"]
        except (PlatformDown, Refused, TryLater) as error:
            log.info("Could not look up the name of %s: %s", user, error)
            return user, ""
        profile = person.get("profile") or {}
        name = str(profile.get("display_name") or person.get("real_name") or person.get("name") or user)
        self._people[user] = (time.monotonic(), name, str(person.get("tz") or ""))
        if len(self._people) > NAMES:
            self._people.popitem(last=False)
        return self._people[user][1:]

    def _is_slack(self, address: str) -> bool:
        asked, own = urlsplit(address), urlsplit(self.client.base_url)
        return asked.netloc == own.netloc or (asked.scheme == "https" and (asked.hostname or "").endswith(".slack.com"))

    async def download(self, address: str, limit: int) -> bytes:
        """Return an attachment's bytes, or more than `limit` of them where there are. Raises PlatformDown, Refused."""
        assert self.client.session is not None
        if not self._is_slack(address):
            raise Refused("the file is not kept by Slack, and nobody else is shown the bot's token")
        try:
            async with self.client.session.get(address, headers={"Authorization": f"Bearer {self._token}"}) as answer:
                if answer.status >= 500 or answer.status == 429:
                    raise PlatformDown(f"Slack answers {answer.status}.")
                if answer.status >= 400 or answer.content_type == "text/html":
                    raise Refused(f"HTTP {answer.status}, {answer.content_type}")
                data = bytearray()
                async for piece in answer.content.iter_chunked(1 << 16):
                    data += piece
                    if len(data) > limit:
                        break
                return bytes(data)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PlatformDown("Slack cannot be reached.") from error
