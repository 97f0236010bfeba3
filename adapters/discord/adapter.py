"""The ChatAdapter for Discord."""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp
import discord

from adapters.common.approvals import settled
from adapters.common.elsewhere import posted_before
from adapters.common.pace import Pace
from adapters.common.patience import patient
from adapters.discord.client import Client
from adapters.discord.places import PREFIX
from adapters.discord.reply import EVERY, DiscordReply
from adapters.discord.settling import settle
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.ports import Desk, Inbox, Reply
from codeact_bot.types import Access, Check, Incoming, Turn

WRONG_TOKEN = "Discord does not accept DISCORD_TOKEN. Copy the token again from the Bot page of your application; docs/discord.md."  # noqa: S105
NO_CONTENT = "Discord does not let the bot read messages. Turn on Message Content Intent on the Bot page of your application; docs/discord.md."

NOT_CONNECTED = "The bot tries again by itself. If it does not succeed, look into its log and at https://discordstatus.com."


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
            except discord.PrivilegedIntentsRequired:
                raise ConfigurationInvalid(NO_CONTENT) from None

    async def _log_in(self) -> None:
        async def log_in() -> None:
            try:
                await self.client.login(self._token)
            except discord.LoginFailure:
                raise ConfigurationInvalid(WRONG_TOKEN) from None

        await patient(log_in, failures=(aiohttp.ClientError, OSError, discord.HTTPException), failed="Could not log in to Discord")

    async def check(self) -> Check:
        """Whether Discord sends what people write."""
        if self.client.is_closed() or not self.client.linked:
            return Check(name="Discord", ok=False, text="not connected", remedy=NOT_CONNECTED)
        return Check(name="Discord", ok=True, text="connected")

    async def reply(self, turn: Turn) -> Reply:
        """Open the post for a turn, or go on with the one that `turn.reply` names."""
        reply = DiscordReply(self.client.wire, self._desk, turn, await posted_before(self._desk, turn))
        if turn.outcome is None:
            await reply.opened()
            if self.client.ear is not None:
                await self.client.ear.unmark(turn)
        return reply

    async def settle(self, asked: Turn, by: Incoming) -> None:
        """Take Approve and Decline from a post and say there what came of them, for as long as it takes."""
        await Pace(lambda: settle(self.client.wire, asked, settled(asked, by)), EVERY).finish()
