"""The app manifest: scopes, events, the command and the shortcut, no more than is used."""

from __future__ import annotations

from typing import Any

SCOPES = {
    "assistant:write": "show that it works, and Slack's own stop button",
    "app_mentions:read": "be mentioned",
    "channels:history": "hear follow-ups in threads of public channels",
    "chat:write": "answer",
    "chat:write.public": "answer a command in a public channel it was not invited to",
    "commands": "/codeact",
    "files:read": "take the files that people attach",
    "files:write": "post plots, tables and files",
    "groups:history": "hear follow-ups in threads of private channels",
    "groups:read": "see whether it is in a private channel",
    "channels:read": "see whether it is in a channel",
    "im:history": "hear direct messages",
    "im:write": "send exports privately",
    "reactions:write": "mark queued questions",
    "users:read": "call people by their names",
}
"""Bot scopes, and what each is for."""
EVENTS = ("agent_session_stopped", "app_home_opened", "app_mention", "message.channels", "message.groups", "message.im")
USAGE = (
    "[ask] question | stop | history [words] | export [md|json|ipynb|jsonl] | new | rewind [N] | fork [N] | "
    "schedule when: question | allow @person | help"
)


def manifest(address: str = "") -> dict[str, Any]:
    """Return the manifest, for Socket Mode or, with the bot's public address, for HTTP."""
    url = {"url": f"{address.rstrip('/')}/slack/events"} if address else {}
    request = {"request_url": url["url"]} if address else {}
    command = {"command": "/codeact", "description": "Ask, and I answer by running Python", "usage_hint": USAGE, "should_escape": True, **url}
    shortcut = {"name": "Run this with codeact", "type": "message", "callback_id": "codeact_run", "description": "Answer by running Python"}
    home = {"home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False}
    return {
        "display_information": {"name": "codeact", "description": "Answers questions by writing and running Python", "background_color": "#1f2937"},
        "features": {
            "app_home": home,
            "agent_view": {"agent_description": "Answers questions by writing and running Python"},
            "bot_user": {"display_name": "codeact", "always_online": True},
            "shortcuts": [shortcut],
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": sorted(SCOPES)}},
        "settings": {
            "event_subscriptions": {"bot_events": list(EVENTS), **request},
            "interactivity": {"is_enabled": True, **request},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not address,
            "token_rotation_enabled": False,
        },
    }
