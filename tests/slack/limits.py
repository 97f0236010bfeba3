"""Slack's published limits, as checks of payloads; slack_sdk's own validation included."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from slack_sdk.models.blocks import Block as SdkBlock

from adapters.slack.pages import BLOCKS, text_size


def elements(part: Any) -> list[dict[str, Any]]:
    """Return all objects in a block."""
    if isinstance(part, dict):
        return [part, *(each for value in part.values() for each in elements(value))]
    return [each for item in part for each in elements(item)] if isinstance(part, list | tuple) else []


def check(posted: Any) -> None:
    """Hold a message's or a view's blocks against the published limits, and slack_sdk's own validation."""
    assert 0 < len(posted) <= 100
    for block in SdkBlock.parse_all([dict(each) for each in posted]):
        block.validate_json()
    for each in elements(list(posted)):
        match each.get("type"):
            case "text":
                assert each["text"]
            case "link":
                assert each["url"].startswith(("http://", "https://"))
            case "user" | "usergroup" | "broadcast" | "channel" | "mrkdwn" | "emoji":
                raise AssertionError(f"{each} can ping or be parsed")
            case "plain_text":
                assert 0 < len(each["text"]) <= 3_000
            case "table":
                assert 1 <= len(each["rows"]) <= 100
                assert all(1 <= len(row) <= 20 for row in each["rows"])
            case "rich_text_section" | "rich_text_list" | "rich_text_quote" | "rich_text_preformatted":
                assert each["elements"]
            case "actions":
                assert all(len(button["value"]) <= 2_000 for button in each["elements"])
                for confirm in (button["confirm"] for button in each["elements"] if "confirm" in button):
                    texts = [confirm[part]["text"] for part in ("title", "text", "confirm", "deny")]
                    assert all(len(text) <= most for text, most in zip(texts, (100, 300, 30, 30), strict=True))
    text = json.dumps(posted, ensure_ascii=False)
    assert not [c for c in text if unicodedata.category(c) == "Cf" or c == "\x1b"]


def check_message(posted: Any) -> None:
    check(posted)
    assert len(posted) <= BLOCKS
    assert text_size(list(posted)) <= 12_000
    assert len([each for each in posted if each["type"] == "table"]) <= 1


def check_payload(method: str, given: dict[str, Any]) -> None:
    """Check what a request to Slack carries."""
    if method in ("chat.postMessage", "chat.update", "chat.postEphemeral"):
        if given.get("blocks"):
            check_message(given["blocks"])
        assert len(given.get("text", "")) <= 4_000
        assert "<" not in given.get("text", "")
        assert len(json.dumps(given)) < 60_000
    if method in ("views.open", "views.publish"):
        check(given["view"]["blocks"])
    for chunk in given.get("chunks") or ():
        assert len(chunk.get("text", "")) <= 12_000
