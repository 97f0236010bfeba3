"""Who pressed or typed, and where."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.common.access import Visitor
from adapters.slack.people import visitor
from adapters.slack.places import place_of
from codeact_bot.types import Author

NOT_HERE = "I am not in this channel, so I could not post the answer. Invite me with `/invite`, or write to me directly."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who pressed or typed, and where."""

    user: str
    team: str
    channel: str
    thread: str
    trigger: str
    """Names this press or command; opens a modal within three seconds."""

    @property
    def who(self) -> Visitor:
        """The person as the access lists see them."""
        return visitor(self.user, self.team, self.channel)

    @property
    def author(self) -> Author:
        """The person as the audit knows them."""
        return Author(id=self.user, name=self.user)

    @property
    def prefix(self) -> str:
        """The beginning of the names of the channel's conversations, and of no other channel's; a direct message is a conversation itself."""
        place = place_of(self.team, self.channel)
        return place if self.channel.startswith("D") else f"{place}:"
