"""Messages, their edits and their deletion, as questions for the core."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import discord

from adapters.common.access import REFUSED_ASK, REFUSED_STEER, Visitor, may_ask, may_steer
from adapters.common.approvals import ANSWERED, EARLY, approving, meant, verdict
from adapters.common.commands import help_text, is_stop
from adapters.common.counter import Counter, Question, waited
from adapters.common.neutral import discord_markdown
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.patience import patient
from adapters.common.schedules import Schedules, wish
from adapters.common.split import split
from adapters.common.told import Told
from adapters.discord import buttons
from adapters.discord.orders import order
from adapters.discord.pages import LIMIT, units
from adapters.discord.people import author, visitor
from adapters.discord.places import Reference, Spot, Way, place_of
from adapters.discord.uploads import download
from adapters.discord.wire import Wire, nonce
from codeact_bot.errors import ScheduleNotFound, ScheduleRefused
from codeact_bot.types import Access, Incoming, Kind, ThreadId, Turn

log = logging.getLogger(__name__)

QUEUED = "⏳"
KINDS = (discord.MessageType.default, discord.MessageType.reply)
EDITED = "-# The question above was edited."


class Ear:
    """Takes in what people write."""

    def __init__(self, client: discord.Client, wire: Wire, counter: Counter, access: Access) -> None:
        """Hear for a counter, through a client."""
        self._client = client
        self._wire = wire
        self._counter = counter
        self._access = access
        self.schedules = Schedules(counter, access, discord_markdown)
        self._told = Told()
        self.queued: set[str] = set()

    async def hear(self, message: discord.Message, *, late: bool = False) -> None:
        """Take in a message, where it is for the bot and its author may ask.

        One that is found late may have been heard before, and is not told anything twice.
        """
        if message.author.bot or message.webhook_id or message.type not in KINDS:
            return
        called = message.guild is None or self._is_called(message)
        spot, place = self._where(message)
        if late and spot.way is Way.FROM and message.thread is not None:
            return
        async with self._counter.order(place):
            if not called and not await self._goes_on(message, place, late=late):
                return
            if may_ask(self._access, self._visitor(message)):
                await self._take(message, spot, place, late=late)
            elif not late:
                await self._refuse(message, REFUSED_ASK)

    async def _goes_on(self, message: discord.Message, place: str, *, late: bool) -> bool:
        """Whether a conversation goes on in the message's thread; for one that is found late, whether it did when that was written."""
        thread = await self._counter.conversation(place) if isinstance(message.channel, discord.Thread) else None
        first = await self._counter.first(thread) if thread and late else None
        return thread is not None and (first is None or first.at < message.created_at)

    async def _take(self, message: discord.Message, spot: Spot, place: str, *, late: bool) -> None:
        text = self.text_of(message)
        wanted = wish(text)
        if is_stop(text):
            await self._stop(message, place, late=late)
        elif wanted is not None:
            await self._schedule(message, wanted, late=late)
        elif not message.attachments and (yes := verdict(text)) is not None and (asked := await self._asked(message, place, spot)) is not None:
            await self._decide(message, spot, asked, yes=yes, late=late)
        elif text or message.attachments:
            files, refused = await download(message.attachments)
            thread = await self._counter.begin(place)
            incoming = Incoming(
                id=str(message.id), thread=thread, author=author(message.author), text=text, files=files, place=str(spot), at=message.created_at
            )
            if await self.accept(incoming, message.channel.id, message.id) and refused:
                await self._answer(message, "\n".join(refused))
        elif not late:
            await self._answer(message, help_text(self._mention()))

    async def _asked(self, message: discord.Message, place: str, spot: Spot) -> Turn | str | None:
        """The turn that waits for a yes or no here; a sentence, or None, as `meant` has it. It has to be written below the turn's post."""
        thread = await self._counter.conversation(place)
        found = await patient(lambda: meant(self._counter.desk, thread, str(spot))) if thread else None
        post = Reference.parse(found.reply) if isinstance(found, Turn) else None
        return EARLY if post and message.id < post.message else found

    async def _decide(self, message: discord.Message, spot: Spot, asked: Turn | str, *, yes: bool, late: bool) -> None:
        """Take a yes or no in."""
        if isinstance(asked, str):
            if asked and not late:
                await self._answer(message, asked)
            return
        incoming = asked.incoming
        if not may_steer(self._access, self._visitor(message), incoming.asker, await self._counter.permitted(incoming.thread)):
            await self._refuse(message, REFUSED_STEER)
        elif not await self.accept(approving(asked, yes=yes, author=author(message.author), place=str(spot))):
            await self._answer(message, ANSWERED)

    async def _schedule(self, message: discord.Message, wanted: str, *, late: bool) -> None:
        guild = message.guild.id if message.guild else None
        given = order(name=message.id, user=message.author, guild=guild, channel=message.channel, channel_id=message.channel.id)
        if late and await patient(lambda: self.schedules.settled(wanted, given)):
            return
        try:
            said = await patient(lambda: self.schedules.do(wanted, given, self._visitor(message)))
        except (ScheduleNotFound, ScheduleRefused) as error:
            said = str(error)
        await self._answer(message, said)

    async def accept(self, incoming: Incoming, channel: int = 0, message: int = 0) -> bool:
        """Hand a question in; when others come first, its message is marked."""
        fresh = await patient(lambda: self._counter.inbox.accept(incoming))
        if fresh and message and await patient(lambda: self._counter.waits(incoming)):
            self.queued.add(incoming.id)
            await self._wire.mark(channel, message, QUEUED)
        return fresh

    async def unmark(self, turn: Turn) -> None:
        """Take the mark of a queued question away, now that its turn begins."""
        incoming = turn.incoming
        if incoming.fire is None and not incoming.via and incoming.kind is Kind.QUESTION and (incoming.id in self.queued or waited(turn)):
            self.queued.discard(incoming.id)
            await self._wire.unmark(Spot.parse(incoming.place).channel, int(incoming.id.partition("~")[0]), QUEUED)

    async def edited(self, message: discord.Message) -> None:
        """Offer a re-run for an edited question; one that still waits is exchanged."""
        if message.author.bot or message.edited_at is None:
            return
        found = await self.find(message.guild.id if message.guild else None, message.channel.id, message.id)
        if found is None:
            return
        thread, question = found
        text = self.text_of(message)
        if not text or text == question.incoming.text:
            return
        if question.place > 0 and await self._counter.inbox.withdraw(thread, question.incoming.id):
            fresh = replace(question.incoming, id=f"{message.id}~{int(message.edited_at.timestamp())}", text=text)
            await self.accept(fresh, message.channel.id, message.id)
            return
        where = message.id if Spot.parse(question.incoming.place).way is Way.FROM else message.channel.id
        name = nonce("edited", message.id, message.edited_at.timestamp())
        if self._told.first(f"edit {message.id}"):
            await self._post(where, EDITED, name, buttons.for_edited(message.channel.id, message.id))

    async def deleted(self, guild: int | None, channel: int, message: int) -> None:
        """Give up the question that a deleted message asked."""
        found = await self.find(guild, channel, message)
        if found is not None and found[1].place >= 0:
            await self._counter.inbox.withdraw(found[0], found[1].incoming.id)

    def forget_edit(self, message: int) -> None:
        """Let a further edit of this question be offered a re-run again."""
        self._told.forget(f"edit {message}")

    async def find(self, guild: int | None, channel: int, message: int) -> tuple[ThreadId, Question] | None:
        """Find the question that a message asked, with its conversation."""
        for place in (place_of(guild, message), place_of(guild, channel)):
            thread = await self._counter.conversation(place)
            question = await self._counter.question(thread, str(message)) if thread else None
            if thread is not None and question is not None:
                return thread, question
        return None

    async def _stop(self, message: discord.Message, place: str, *, late: bool) -> None:
        thread = await self._counter.conversation(place)
        running = await self._counter.running(thread) if thread else None
        if late and (running is None or message.created_at <= running.at):
            return
        if thread is None or running is None:
            await self._answer(message, "Nothing is running here.")
        elif may_steer(self._access, self._visitor(message), running.asker, await self._counter.permitted(thread)):
            await self._counter.stop(thread, author(message.author))
            await self._wire.mark(message.channel.id, message.id, "🛑")
        else:
            await self._refuse(message, REFUSED_STEER)

    async def _refuse(self, message: discord.Message, sentence: str) -> None:
        """Tell a person in a direct message, once, what they may not do."""
        if not self._told.first(f"{message.author.id} {sentence}"):
            return
        await self._counter.refused(sentence, author(message.author), self._where(message)[1])
        try:
            await message.author.send(sentence)
        except discord.HTTPException as error:
            log.info("Could not tell %s that they may not do this: %s", message.author.id, error)

    async def _answer(self, message: discord.Message, text: str) -> None:
        for index, piece in enumerate(split(text, LIMIT, units)):
            await self._post(message.channel.id, piece, nonce("answer", message.id, index or ""), None)

    async def _post(self, channel: int, text: str, name: str, view: discord.ui.View | None) -> None:
        try:
            await self._wire.send(channel, text, name=name, view=view)
        except (discord.HTTPException, PlatformDown, TryLater) as error:
            log.warning("Could not post a note in channel %s: %s", channel, error)

    def _where(self, message: discord.Message) -> tuple[Spot, str]:
        channel, guild = message.channel, message.guild
        if guild is not None and isinstance(channel, discord.TextChannel) and channel.permissions_for(guild.me).create_public_threads:
            return Spot(way=Way.FROM, channel=channel.id, message=message.id), place_of(guild.id, message.id)
        return Spot(way=Way.HERE, channel=channel.id, message=message.id), place_of(guild.id if guild else None, channel.id)

    def _is_called(self, message: discord.Message) -> bool:
        mine = message.guild.self_role if message.guild else None
        return self._client.user in message.mentions or (mine is not None and mine in message.role_mentions)

    def text_of(self, message: discord.Message) -> str:
        """Return what a message asks, without the mention of the bot."""
        names = {user.id: user.display_name for user in message.mentions}
        me, mine = self._client.user, message.guild.self_role if message.guild else None
        text = message.content
        for mention in [f"<@{me.id}>", f"<@!{me.id}>"] if me else []:
            text = text.replace(mention, "")
        text = text.replace(mine.mention, "") if mine else text
        return re.sub(r"<@!?(\d+)>", lambda found: f"@{names.get(int(found[1]), found[1])}", text).strip()

    def _mention(self) -> str:
        return f"@{self._client.user.display_name}" if self._client.user else "@codeact"

    def _visitor(self, message: discord.Message) -> Visitor:
        return visitor(message.author, message.guild.id if message.guild else None, message.channel)
