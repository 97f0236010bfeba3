"""The link that invites the bot, with the permissions it needs and no others."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlencode

import discord

from codeact_bot.errors import ConfigurationInvalid

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    create_public_threads=True,
    send_messages_in_threads=True,
    read_message_history=True,
    attach_files=True,
    add_reactions=True,
)
SCOPES = ("bot", "applications.commands")


def invite_link(token: str) -> str:
    """Return the link for the application of a token. Raises ConfigurationInvalid for what is no bot token."""
    query = urlencode({"client_id": application_of(token), "permissions": PERMISSIONS.value, "scope": " ".join(SCOPES)})
    return f"https://discord.com/oauth2/authorize?{query}"


def application_of(token: str) -> int:
    """Return the application's id, which is the first part of its bot token in base64. Raises ConfigurationInvalid."""
    head = token.partition(".")[0]
    try:
        return int(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        raise ConfigurationInvalid(
            "DISCORD_TOKEN is not a bot token. Copy it from the Bot page of your application at https://discord.com/developers/applications."
        ) from None
