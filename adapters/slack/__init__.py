"""Slack: mentions, direct messages, /codeact and a shortcut; a thread is a conversation."""

from adapters.slack.adapter import SlackAdapter
from adapters.slack.manifest import manifest

__all__ = ["SlackAdapter", "manifest"]
