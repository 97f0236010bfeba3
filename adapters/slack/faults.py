"""Slack's failures, sorted into later, never and for an admin to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from adapters.common.pace import PlatformDown, TryLater
from adapters.common.reply import Refused

PASSING = {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "accesslimited"}
"""Errors of Slack that pass by themselves."""
WRONG_TOKEN_CODES = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
MENDABLE = WRONG_TOKEN_CODES | {"missing_scope", "not_in_channel"}
"""Errors that an admin can mend, after which what is owed is delivered."""
ABSENT = {"unknown_method", "feature_not_enabled", "not_allowed", "not_an_agent", "app_not_agent", "method_not_supported_for_channel_type"}
"""Errors of a workspace, or an app, that does not have a feature."""


@contextmanager
def heeding() -> Iterator[None]:
    """Turn Slack's failures into TryLater, PlatformDown and Refused."""
    try:
        yield
    except SlackApiError as error:
        status = getattr(error.response, "status_code", 200)
        code = error_of(error)
        if status == 429 or code in ("ratelimited", "rate_limited"):
            raise TryLater(float(error.response.headers.get("Retry-After", "5"))) from error
        if status >= 500 or code in PASSING:
            raise PlatformDown(f"Slack answers {code or status}.") from error
        if code in MENDABLE:
            remedy = "look at the app's scopes and tokens (docs/slack.md), and invite it to the channel"
            raise PlatformDown(f"Slack refuses with {code}: {remedy}.") from error
        raise Refused(code or f"HTTP {status}") from error
    except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PlatformDown("Slack cannot be reached.") from error


def error_of(error: SlackApiError) -> str:
    """Return Slack's code for an error; empty where the answer has none."""
    data = error.response.data if hasattr(error.response, "data") else error.response
    return str(data.get("error", "")) if isinstance(data, dict) else ""
