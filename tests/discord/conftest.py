"""The real discord.py on a simulated Discord, with the adapter and a small core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import discord
import pytest
import simcord

from adapters.discord import DiscordAdapter
from codeact_bot.types import Access
from tests.adapters.core import Core


@dataclass(slots=True)
class World:
    """A guild with one channel, two people and the bot."""

    env: simcord.Env
    core: Core
    adapter: DiscordAdapter
    access: Access
    guild: simcord.GuildHandle = field(init=False)
    channel: simcord.ChannelHandle = field(init=False)
    ada: simcord.MemberActor = field(init=False)
    bob: simcord.MemberActor = field(init=False)

    def __post_init__(self) -> None:
        self.guild = self.env.create_guild("Team")
        self.channel = self.guild.create_text_channel("general")
        self.ada = self.guild.add_member(self.env.create_user("Ada"))
        self.bob = self.guild.add_member(self.env.create_user("Bob"))

    @property
    def mention(self) -> str:
        return f"<@{self.env.backend.bot_user.id}>"

    @property
    def thread(self) -> simcord.ChannelHandle:
        """The only thread there is."""
        (thread,) = self.channel.threads
        return thread

    async def ask(self, text: str = "What is 2 + 2?", **details: object) -> discord.Message:
        """Let Ada mention the bot in the channel."""
        return await self.ada.send(self.channel, f"{self.mention} {text}", **details)  # type: ignore[arg-type]

    async def restart(self) -> None:
        """Start the bot anew; the core's store stays."""
        self.adapter = make(self.core, self.access)
        await self.env.restart_bot(self.adapter.client)


def make(core: Core, access: Access) -> DiscordAdapter:
    """Make an adapter on the core, without a connection of its own."""
    adapter = DiscordAdapter(token="token", desk=core.desk, access=access)
    core.adapter = adapter
    adapter.client.open(core)
    return adapter


@pytest.fixture
def access() -> Access:
    return Access()


@asynccontextmanager
async def opened(access: Access) -> AsyncIterator[World]:
    """Open a guild with the bot in it."""
    core = Core()
    adapter = make(core, access)
    env = simcord.Env(adapter.client, approved_intents=discord.Intents.all())
    await env.start()
    try:
        yield World(env=env, core=core, adapter=adapter, access=access)
    finally:
        await env.shutdown()
    env.raise_errors()


@pytest.fixture
async def world(access: Access) -> AsyncIterator[World]:
    async with opened(access) as world:
        yield world
