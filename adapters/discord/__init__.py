"""Discord: mentions, direct messages and slash commands; a thread is a conversation."""

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.invite import PERMISSIONS, invite_link

__all__ = ["PERMISSIONS", "DiscordAdapter", "invite_link"]
