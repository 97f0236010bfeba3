"""What `codeact-bot doctor` asks Discord: whether it takes the token, and whether the bot may read messages."""

from __future__ import annotations

import aiohttp
import discord

from codeact_bot.types import Check

PORTAL = "https://discord.com/developers/applications"


async def check(token: str) -> Check:
    """Log in and look at the application's intents."""
    async with discord.Client(intents=discord.Intents.none()) as client:
        return await ask(client, token)


async def ask(client: discord.Client, token: str) -> Check:
    """Log a client in and look at the application's intents."""
    try:
        await client.login(token)
        about = await client.application_info()
    except discord.LoginFailure:
        return Check(name="Discord", ok=False, text="Discord refuses the token", remedy=f"Reset and copy it on the Bot page at {PORTAL}.")
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
        return Check(name="Discord", ok=False, text=f"Discord cannot be reached ({type(error).__name__})", remedy="Look at the network.")
    if not (about.flags.gateway_message_content or about.flags.gateway_message_content_limited):
        remedy = f"Turn on Message Content Intent on the Bot page at {PORTAL}."
        return Check(name="Discord", ok=False, text=f"{about.name} may not read messages", remedy=remedy)
    return Check(name="Discord", ok=True, text=f"{about.name}, with the intent to read messages")
