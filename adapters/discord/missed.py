"""Messages that were written while no worker was connected: Discord does not send them again, so they are looked up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import discord

from adapters.common.counter import Counter
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.patience import patient
from adapters.discord.hearing import Ear
from adapters.discord.places import PREFIX, Spot, place_of
from adapters.discord.wire import Wire
from codeact_bot.types import Query, Turn

log = logging.getLogger(__name__)

Speaking = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread

LONGEST = timedelta(days=1)
"""Older messages stay unanswered."""
MARGIN = timedelta(minutes=1)
"""By how much Discord's clock and ours may differ."""
KNOWN = 100
"""Questions of before, the last ones, that say since when nothing was heard."""
CHANNELS = 100
"""Channels and threads that are looked through at most, the last active first, and as many direct messages."""


class Missed:
    """Looks for messages that nobody heard."""

    def __init__(self, client: discord.Client, wire: Wire, counter: Counter, ear: Ear) -> None:
        """Look through a client, and let the ear hear what is found."""
        self._client = client
        self._wire = wire
        self._counter = counter
        self._ear = ear

    async def hear(self, connected: datetime) -> None:
        """Take in, in their order, the messages between the last known question and the connection.

        A bot that knows no question has missed none.
        """
        known = await self._known(PREFIX)
        if not known:
            return
        since = since_when(known, connected)
        asked = {turn.incoming.id.partition("~")[0] for turn in known}
        found = [message for channel in await self._channels(since) for message in await self._posts(channel, since)]
        for message in sorted(found, key=lambda each: each.id):
            if str(message.id) not in asked:
                await self._ear.hear(message, late=True)

    async def _known(self, prefix: str) -> Sequence[Turn]:
        return await patient(lambda: self._counter.desk.find(Query(prefix=prefix, limit=KNOWN)))

    async def _channels(self, since: int) -> list[discord.abc.Messageable]:
        """The channels, threads and direct messages in which something may have been written since."""
        active = [each for guild in self._client.guilds for each in speaking(guild) if (each.last_message_id or 0) > since]
        active.sort(key=lambda each: each.last_message_id or 0, reverse=True)
        direct = {Spot.parse(turn.incoming.place).channel: None for turn in await self._known(place_of(None, 0).removesuffix("0"))}
        return [*active[:CHANNELS], *map(self._client.get_partial_messageable, list(direct)[:CHANNELS])]

    async def _posts(self, channel: discord.abc.Messageable, since: int) -> list[discord.Message]:
        try:
            return await self._wire.posts(channel, since)
        except (discord.HTTPException, PlatformDown, TryLater) as error:
            log.info("Could not look for missed messages in %s: %s", channel, error)
            return []


def speaking(guild: discord.Guild) -> list[Speaking]:
    """Return the channels and threads of a guild that have messages."""
    return [*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads]


def since_when(known: Sequence[Turn], connected: datetime) -> int:
    """Return the time, as an id of Discord's, up to which everything was heard.

    Whatever a person asked last came over a connection, or was looked up in its order: so all before it was heard, too. Schedules need none.
    """
    before = [turn.incoming.at for turn in known if turn.incoming.fire is None and turn.incoming.at < connected - MARGIN]
    return discord.utils.time_snowflake(max([connected - LONGEST, *before]))
