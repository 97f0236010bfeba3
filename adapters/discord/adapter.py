"""The ChatAdapter for Discord."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import aiohttp
import discord

from adapters.discord.client import Client
from adapters.discord.places import PREFIX, Spot
from adapters.discord.reply import DiscordReply
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.ports import Desk, Inbox, Reply
from codeact_bot.types import Access, Turn

log = logging.getLogger(__name__)

LONGEST_WAIT = 60.0
WRONG_TOKEN = "Discord does not accept DISCORD_TOKEN. Copy the token again from the Bot page of your application; docs/discord.md."  # noqa: S105
NO_CONTENT = "Discord does not let the bot read messages. Turn on Message Content Intent on the Bot page of your application; docs/discord.md."


class DiscordAdapter:
    """Answers in Discord; implements ChatAdapter."""

    def __init__(self, token: str, desk: Desk, access: Access) -> None:
        """Log in with a bot token when listening begins."""
        self._token = token
        self._desk = desk
        self.client = Client(desk, access)

    @property
    def prefixes(self) -> Sequence[str]:
        """All conversations that were begun in Discord."""
        return (PREFIX,)

    async def listen(self, inbox: Inbox) -> None:
        """Take in messages until cancelled. Raises ConfigurationInvalid for a wrong token or missing intents."""
        self.client.open(inbox)
        async with self.client:
            try:
                await self._log_in()
                await self.client.connect(reconnect=True)
            except discord.LoginFailure:
                raise ConfigurationInvalid(WRONG_TOKEN) from None
            except discord.PrivilegedIntentsRequired:
                raise ConfigurationInvalid(NO_CONTENT) from None

    async def _log_in(self) -> None:
        wait = 1.0
        while True:
            try:
                await self.client.login(self._token)
                return
            except discord.LoginFailure:
                raise
            except (aiohttp.ClientError, OSError, discord.HTTPException) as error:
                log.error("Could not log in to Discord, trying again in %.0f s: %s", wait, error)
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT, wait * 2)

    async def reply(self, turn: Turn) -> Reply:
        """Open the post for a turn, or go on with the one that `turn.reply` names."""
        reply = DiscordReply(self.client.wire, self._desk, turn)
        if self.client.ear is not None:
            await self.client.ear.unmark(turn.incoming, Spot.parse(turn.incoming.place).channel)
        if turn.outcome is None:
            await reply.opened()
        return reply
