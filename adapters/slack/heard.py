"""A message as Slack announces it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.slack.places import Spot, Way, place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message as Slack announces it."""

    team: str
    channel: str
    ts: str
    thread: str
    """Time stamp of the thread's first message; empty at the top of a channel or direct message."""
    user: str
    text: str
    files: tuple[dict[str, Any], ...] = ()
    direct: bool = False

    @classmethod
    def of(cls, event: dict[str, Any], team: str) -> Heard:
        """Read an event, or a message inside one."""
        channel = str(event["channel"])
        return cls(
            team=team,
            channel=channel,
            ts=str(event["ts"]),
            thread=str(event.get("thread_ts") or ""),
            user=str(event.get("user") or ""),
            text=str(event.get("text") or ""),
            files=tuple(event.get("files") or ()),
            direct=channel.startswith("D") or event.get("channel_type") == "im",
        )

    @property
    def spot(self) -> Spot:
        """Where the answer goes: the message's thread, one that it begins, or the top of the direct message."""
        return Spot(way=Way.HERE, channel=self.channel, thread=self.thread or ("" if self.direct else self.ts), message=self.ts)

    @property
    def place(self) -> str:
        """Where the conversation goes on."""
        return place_of(self.team, self.channel, self.spot.thread)
