"""The posts that show one turn."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import discord

from adapters.common.elsewhere import quoted
from adapters.common.neutral import discord_markdown
from adapters.common.reply import PacedReply
from adapters.common.split import split
from adapters.common.summary import asked_by_clock
from adapters.discord.buttons import turn_of, when_done, while_running
from adapters.discord.pages import LIMIT, Post, final, small, title, units, working
from adapters.discord.places import Reference, Spot, Way, guild_of, place_of
from adapters.discord.wire import Wire, nonce
from codeact_bot.errors import FileRefused
from codeact_bot.ports import Desk
from codeact_bot.types import Turn

log = logging.getLogger(__name__)

EARLY = timedelta(minutes=1)
"""By so much before a scheduled turn's beginning its posts are looked for: the clocks are not the same."""
EVERY = 1.2
"""Seconds between edits: Discord takes five in five seconds for a channel, and other answers may run there."""


class DiscordReply(PacedReply):
    """Shows a turn in a post that is edited as it goes on, and in further ones at its end."""

    refusals = (discord.HTTPException,)

    def __init__(self, wire: Wire, desk: Desk, turn: Turn, beside: str = "") -> None:
        """Show `turn`; go on with the post that `turn.reply` names, where it names one.

        Where it was asked elsewhere, its question is posted, too, in the channel of the post that `beside` names.
        """
        super().__init__(turn, EVERY)
        self._wire = wire
        self._desk = desk
        self._spot = Spot.parse(turn.incoming.place)
        if turn.incoming.via:
            self._spot = Spot(way=Way.SAY, channel=(Reference.parse(beside) or self._spot).channel)
        self._first = Reference.parse(turn.reply)
        self._channel = self._first.channel if self._first else 0
        self._after = self._spot.message or discord.utils.time_snowflake(turn.started - EARLY)
        self._posts: list[Post] = []
        self._sent = 0

    @property
    def reference(self) -> str:
        """The channel and the id of the first post; empty until there is one."""
        return str(self._first) if self._first else ""

    async def _entered(self) -> None:
        if not self._channel:
            self._channel = await self._enter()

    async def _enter(self) -> int:
        """Return the channel to post in, making its thread and posting the question where that is to be done."""
        turn, spot = self.story.turn, self._spot
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
        incoming = self.story.turn.incoming
        by_clock = asked_by_clock(incoming)
        asks = f"**{discord_markdown(incoming.author.name)}** asks{' in ' + incoming.via if incoming.via else ''}:"
        head = f"**{discord_markdown(by_clock)}**:" if by_clock else asks
        said = discord_markdown(incoming.text)
        files = [f"-# with {discord_markdown(file.name)}" for file in incoming.files]
        text = split("\n".join([f"{head}\n{quoted(said)}" if incoming.via else f"{head} {said}", *files]), LIMIT, units)[0]
        if self.unsure:
            for post in await self._wire.own_posts(self._spot.channel, self._after):
                if post.content.strip() == text.strip():
                    return post.id
        return await self._wire.send(self._spot.channel, text, name=nonce(self.story.turn.id, "question"))

    async def recall(self) -> None:
        """Find out what an earlier attempt has posted already."""
        turn = self.story.turn
        await self._entered()
        if self._first is None:
            found = [post for post in await self._wire.own_posts(self._channel, self._after) if turn_of(post) == turn.id]
            self._first = Reference(channel=self._channel, message=found[0].id) if found else None
        if self._first is not None and self.story.done:
            posts = self._planned()
            self._sent = min(self._sent, 1)
            for post in await self._wire.own_posts(self._channel, self._first.message):
                following = max(1, self._sent)
                if following < len(posts) and same(post, posts[following]):
                    self._sent = following + 1

    async def progress(self) -> None:
        """Bring the first post up to date."""
        await self._entered()
        text = working(self.story)
        if text != self.shown:
            await self._put_first(text, while_running(self.story.turn))

    async def _put_first(self, text: str, view: discord.ui.View) -> None:
        turn = self.story.turn
        edited = self._first is not None and await self._wire.edit(self._first.channel, self._first.message, text, view)
        if not edited and (self._first is None or self.story.done):
            name = nonce(turn.id, "first", self._first or "")
            self._first = Reference(channel=self._channel, message=await self._wire.send(self._channel, text, name=name, view=view))
        self.shown = text

    async def deliver(self) -> None:
        """Post whatever of the ended turn is not there yet."""
        await self._entered()
        posts = self._planned()
        if self.shown != posts[0].content:
            await self._put_first(posts[0].content, when_done(self.story.turn))
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
        await self._wire.send(self._channel, text, name=nonce(self.story.turn.id, "post", index), files=files)

    def _planned(self) -> list[Post]:
        if not self._posts:
            turn = self.story.turn
            self._posts = final(turn, self._wire.upload_limit(guild_of(turn.incoming.thread)))
        return self._posts


def same(message: discord.Message, post: Post) -> bool:
    """Whether a message is this post, sent before."""
    return message.content.strip() == post.content.strip() and len(message.attachments) == len(post.files)
