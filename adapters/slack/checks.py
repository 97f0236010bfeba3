"""What `codeact-bot doctor` asks Slack: whether it takes the tokens, and which scopes are missing."""

from __future__ import annotations

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.common.pace import PlatformDown, TryLater
from adapters.common.reply import Refused
from adapters.slack.faults import error_of, heeding
from adapters.slack.manifest import SCOPES
from codeact_bot.types import Check

SECONDS = 10
APPS = "https://api.slack.com/apps"


async def check(bot_token: str, app_token: str, base_url: str) -> Check:
    """Log in with both tokens and compare the granted scopes with those that the manifest asks for."""
    client = AsyncWebClient(token=bot_token, base_url=base_url, timeout=SECONDS, retry_handlers=[])
    try:
        with heeding():
            me = await client.auth_test()
            if app_token:
                await client.apps_connections_open(app_token=app_token)
    except (PlatformDown, Refused, TryLater) as error:
        return _failed(error)
    granted = set(filter(None, str(me.headers.get("x-oauth-scopes") or me.headers.get("X-OAuth-Scopes") or "").replace(" ", "").split(",")))
    missing = [scope for scope in SCOPES if scope not in granted] if granted else []
    who = f"{me.get('user', 'the bot')} in {me.get('team', 'its workspace')}"
    if missing:
        remedy = f"Add them under OAuth & Permissions at {APPS} and install the app again; `codeact-bot slack manifest` has all of them."
        return Check(name="Slack", ok=False, text=f"{who}, but without the scopes {', '.join(missing)}", remedy=remedy)
    return Check(name="Slack", ok=True, text=f"{who}, by {'Socket Mode' if app_token else 'HTTP'}")


def _failed(error: Exception) -> Check:
    cause = error.__cause__
    code = error_of(cause) if isinstance(cause, SlackApiError) else ""
    if code:
        remedy = f"Copy both tokens again from {APPS}; see docs/slack.md."
        return Check(name="Slack", ok=False, text=f"Slack refuses the tokens: {code}", remedy=remedy)
    reason = type(cause).__name__ if isinstance(cause, SlackClientError | OSError | TimeoutError) else str(error)
    return Check(name="Slack", ok=False, text=f"Slack cannot be reached ({reason})", remedy="Look at the network and CODEACT_SLACK_BASE_URL.")
