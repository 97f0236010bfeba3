"""The posts that show one turn."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import discord

from adapters.common.neutral import discord_markdown
from adapters.common.pace import Pace, PlatformDown
from adapters.common.split import split
from adapters.common.story import Story
from adapters.discord.buttons import turn_of, when_done, while_running
from adapters.discord.pages import LIMIT, Post, final, small, title, units, working
from adapters.discord.places import Reference, Spot, Way, guild_of, place_of
from adapters.discord.wire import Wire, nonce
from codeact_bot.errors import FileRefused
from codeact_bot.ports import Desk
from codeact_bot.types import Event, Turn, TurnDone

log = logging.getLogger(__name__)

EVERY = 1.2
"""Seconds between edits: Discord takes five in five seconds for a channel, and other answers may run there."""
OPENING = 3.0
"""Seconds that the opening of a post may take before the turn goes on without it."""


class DiscordReply:
    """Shows a turn in a post that is edited as it goes on, and in further ones at its end."""

    def __init__(self, wire: Wire, desk: Desk, turn: Turn) -> None:
        """Show `turn`; go on with the post that `turn.reply` names, where it names one."""
        self._wire = wire
        self._desk = desk
        self._story = Story(turn)
        self._spot = Spot.parse(turn.incoming.place)
        self._first = Reference.parse(turn.reply)
        self._channel = self._first.channel if self._first else 0
        self._unsure = bool(turn.reply or turn.steps or turn.outcome)
        self._shown = ""
        self._posts: list[Post] = []
        self._sent = 0
        self._gone = False
        self._open = asyncio.Event()
        self._pace = Pace(self._write, EVERY)

    @property
    def reference(self) -> str:
        """The channel and the id of the first post; empty until there is one."""
        return str(self._first) if self._first else ""

    async def opened(self) -> None:
        """Post "Working…"; returns when that is there, or does not come for a while."""
        self._pace.nudge()
        try:
            async with asyncio.timeout(OPENING):
                await self._open.wait()
        except TimeoutError:
            log.warning("Discord does not take the post of turn %s yet; the turn goes on", self._story.turn.id)

    async def show(self, event: Event) -> None:
        """Show an event; for the last one, return when everything has arrived or can never arrive."""
        self._story.hear(event)
        if not isinstance(event, TurnDone):
            self._pace.nudge()
            return
        await self._pace.finish()
        await self._pace.aclose()

    async def _write(self) -> None:
        if self._gone:
            return
        try:
            await self._bring_up_to_date()
        except PlatformDown:
            self._unsure = True
            raise
        except discord.HTTPException as error:
            self._gone = True
            log.warning("Discord refuses the posts of turn %s for good: %s", self._story.turn.id, error)
        self._open.set()

    async def _bring_up_to_date(self) -> None:
        if not self._channel:
            self._channel = await self._enter()
        if self._unsure:
            await self._recall()
        if self._story.done:
            await self._deliver()
        else:
            await self._progress()

    async def _enter(self) -> int:
        """Return the channel to post in, making its thread and posting the question where that is to be done."""
        turn, spot = self._story.turn, self._spot
        if spot.way is Way.HERE:
            return spot.channel
        root = spot.message if spot.way is Way.FROM else await self._say_question()
        if spot.way is Way.SAY:
            return spot.channel
        try:
            channel = await self._wire.thread(spot.channel, root, title(turn.incoming.text))
        except discord.Forbidden:
            log.warning("The bot may not make threads in channel %s; it answers in the channel", spot.channel)
            return spot.channel
        if spot.way is Way.ASK:
            await self._desk.move(place_of(guild_of(turn.incoming.thread), channel), turn.incoming.thread)
        return channel

    async def _say_question(self) -> int:
        incoming = self._story.turn.incoming
        name = discord_markdown(incoming.author.name)
        files = [f"-# with {discord_markdown(file.name)}" for file in incoming.files]
        text = split("\n".join([f"**{name}** asks: {discord_markdown(incoming.text)}", *files]), LIMIT, units)[0]
        if self._unsure:
            since = discord.utils.time_snowflake(incoming.at)
            for post in await self._wire.own_posts(self._spot.channel, since):
                if post.content.strip() == text.strip():
                    return post.id
        return await self._wire.send(self._spot.channel, text, name=nonce(self._story.turn.id, "question"))

    async def _recall(self) -> None:
        """Find out what an earlier attempt has posted already."""
        turn = self._story.turn
        if self._first is None:
            since = discord.utils.time_snowflake(turn.started)
            found = [post for post in await self._wire.own_posts(self._channel, since) if turn_of(post) == turn.id]
            self._first = Reference(channel=self._channel, message=found[0].id) if found else None
        if self._first is not None and self._story.done:
            posts = self._planned()
            self._sent = min(self._sent, 1)
            for post in await self._wire.own_posts(self._channel, self._first.message):
                following = max(1, self._sent)
                if following < len(posts) and same(post, posts[following]):
                    self._sent = following + 1
        self._unsure = False

    async def _progress(self) -> None:
        text = working(self._story)
        if text != self._shown:
            await self._put_first(text, while_running(self._story.turn))

    async def _put_first(self, text: str, view: discord.ui.View) -> None:
        turn = self._story.turn
        edited = self._first is not None and await self._wire.edit(self._first.channel, self._first.message, text, view)
        if not edited and (self._first is None or self._story.done):
            name = nonce(turn.id, "first", self._first or "")
            self._first = Reference(channel=self._channel, message=await self._wire.send(self._channel, text, name=name, view=view))
        self._shown = text

    async def _deliver(self) -> None:
        posts = self._planned()
        if self._shown != posts[0].content:
            await self._put_first(posts[0].content, when_done(self._story.turn))
        self._sent = max(self._sent, 1)
        while self._sent < len(posts):
            await self._send(posts[self._sent], self._sent)
            self._sent += 1

    async def _send(self, post: Post, index: int) -> None:
        files, missing = [], []
        for file in post.files:
            try:
                files.append(replace(file, data=await self._desk.load(file)))
            except FileRefused as error:
                missing.append(small(str(error)))
        text = "\n".join([post.content, *missing]).strip()
        await self._wire.send(self._channel, text, name=nonce(self._story.turn.id, "post", index), files=files)

    def _planned(self) -> list[Post]:
        if not self._posts:
            turn = self._story.turn
            self._posts = final(turn, self._wire.upload_limit(guild_of(turn.incoming.thread)))
        return self._posts


def same(message: discord.Message, post: Post) -> bool:
    """Whether a message is this post, sent before."""
    return message.content.strip() == post.content.strip() and len(message.attachments) == len(post.files)
