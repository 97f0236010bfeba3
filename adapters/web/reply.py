"""The reply that needs no platform: whoever looks sees it."""

from __future__ import annotations

from adapters.common.story import Story
from adapters.web.hub import Hub
from codeact_bot.types import Event, Turn, TurnDone


class WebReply:
    """Tells those who follow a conversation what happens in its turn; implements Reply."""

    def __init__(self, hub: Hub, turn: Turn) -> None:
        """Begin to show a turn, or go on with one that another worker began."""
        self._hub = hub
        self._story = Story(turn)
        if turn.outcome is None:
            hub.begin(self._story)

    @property
    def reference(self) -> str:
        """The turn's own id: its page is found by that."""
        return self._story.turn.id

    async def show(self, event: Event) -> None:
        """Take in an event."""
        self._story.hear(event)
        if isinstance(event, TurnDone):
            self._hub.end(self._story)
        else:
            self._hub.nudge(self._story.turn.incoming.thread)

    async def aclose(self) -> None:
        """The turn no longer runs here."""
        if not self._story.done:
            self._hub.leave(self._story)
