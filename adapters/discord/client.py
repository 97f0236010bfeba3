"""The discord.py client: what it subscribes to and whom it tells."""

from __future__ import annotations

import logging

import discord
from discord import app_commands

from adapters.common.counter import Counter
from adapters.discord.deeds import Hand
from adapters.discord.hearing import Ear
from adapters.discord.missed import Missed
from adapters.discord.slash import Commands, register
from adapters.discord.wire import WAIT_SECONDS, Wire
from codeact_bot.ports import Desk, Inbox
from codeact_bot.types import Access

log = logging.getLogger(__name__)


def intents() -> discord.Intents:
    """Return what the bot is told of: guilds, messages and, so that follow-ups need no mention, their content."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)


class Client(discord.Client):
    """Hands events to the ear, the hand and the commands."""

    def __init__(self, desk: Desk, access: Access) -> None:
        """Look up at a desk; `open` says where questions go."""
        super().__init__(
            intents=intents(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_ratelimit_timeout=WAIT_SECONDS,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
        )
        self.wire = Wire(self)
        self.ear: Ear | None = None
        self._hand: Hand | None = None
        self._missed: Missed | None = None
        self._connected = discord.utils.utcnow()
        self.linked = False
        """Whether Discord sends what people write."""
        self._desk = desk
        self._access = access
        self.tree = app_commands.CommandTree(self)

    def open(self, inbox: Inbox) -> None:
        """Let questions go to an inbox from now on."""
        counter = Counter(inbox, self._desk)
        self.ear = Ear(self, self.wire, counter, self._access)
        self._hand = Hand(self, self.wire, counter, self.ear, self._access)
        self._missed = Missed(self, self.wire, counter, self.ear)
        register(self.tree, Commands(self.wire, self.ear, counter, self._access))

    async def setup_hook(self) -> None:
        """Publish the commands; runs after the login, before the first event."""
        self.wire.ready = True
        try:
            await self.tree.sync()
        except discord.HTTPException as error:
            log.error("Discord did not take the commands; those of before stay: %s", error)

    async def on_connect(self) -> None:
        """Remember since when messages are heard again; what came before is looked up when the guilds are known."""
        self._connected = discord.utils.utcnow()
        self.linked = True

    async def on_resumed(self) -> None:
        """Hear again, and what came meanwhile."""
        self.linked = True

    async def on_disconnect(self) -> None:
        """Hear nobody until discord.py has connected again."""
        self.linked = False

    async def on_ready(self) -> None:
        """Look for what was missed; a connection that was only interrupted is resumed by Discord without this."""
        if self._missed is not None:
            await self._missed.hear(self._connected)

    async def on_message(self, message: discord.Message) -> None:
        """Hear a message."""
        if self.ear is not None:
            await self.ear.hear(message)

    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        """Hear an edit."""
        if self.ear is not None:
            await self.ear.edited(event.message)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Hear that a message was deleted."""
        if self.ear is not None:
            await self.ear.deleted(event.guild_id, event.channel_id, event.message_id)

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Hear that messages were deleted together, as moderators do."""
        if self.ear is not None:
            for message in event.message_ids:
                await self.ear.deleted(event.guild_id, event.channel_id, message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Hear a press of a button; commands reach their own callbacks."""
        if self._hand is not None and interaction.type is discord.InteractionType.component:
            await self._hand.pressed(interaction)
