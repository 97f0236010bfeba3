"""The part of a reply that platforms share: events in, one paced writer out, which is sure of what it has posted."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar

from adapters.common.pace import Pace, PlatformDown
from adapters.common.story import Story
from codeact_bot.types import Event, Turn, TurnDone

log = logging.getLogger(__name__)

OPENING = 3.0
"""Seconds that the opening of a post may take before the turn goes on without it."""


class Refused(Exception):
    """The platform will never take this: no such channel, no permission, an account that was closed."""


class PacedReply(ABC):
    """Shows a turn in a post that is edited as it goes on, and in further ones at its end."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (Refused,)
    """What the platform's library raises for that which it will never take."""

    def __init__(self, turn: Turn, every: float) -> None:
        """Show `turn`, with `every` seconds between edits at least."""
        self.story = Story(turn)
        self.unsure = bool(turn.resumed or turn.reply or turn.steps or turn.outcome)
        """Whether the platform may have posts of this turn that are not known here."""
        self.shown = ""
        """The first post as the platform has it."""
        self.pace = Pace(self._write, every)
        self._refused = False
        self._open = asyncio.Event()

    async def opened(self) -> None:
        """Post "Working…"; returns when that is there, or does not come for a while."""
        self.pace.nudge()
        try:
            async with asyncio.timeout(OPENING):
                await self._open.wait()
        except TimeoutError:
            log.warning("The platform does not take the post of turn %s yet; the turn goes on", self.story.turn.id, extra={"action": "show"})

    async def show(self, event: Event) -> None:
        """Show an event; for the last one, return when everything has arrived or can never arrive."""
        self.story.hear(event)
        if isinstance(event, TurnDone):
            await self.pace.finish()
        else:
            self.pace.nudge()

    async def aclose(self) -> None:
        """Write no progress any more; what is being written comes to its end first."""
        await self.pace.aclose()

    async def _write(self) -> None:
        if self._refused:
            return
        try:
            if self.unsure:
                await self.recall()
                self.unsure = False
            await (self.deliver() if self.story.done else self.progress())
        except PlatformDown:
            self.unsure = True
            raise
        except self.refusals as error:
            self._refused = True
            log.warning("The posts of turn %s are refused for good: %s", self.story.turn.id, error, extra={"action": "show"})
        self._open.set()

    @abstractmethod
    async def recall(self) -> None:
        """Find out what was posted already. Raises TryLater, PlatformDown, Refused."""

    @abstractmethod
    async def progress(self) -> None:
        """Bring the first post up to date. Raises TryLater, PlatformDown, Refused."""

    @abstractmethod
    async def deliver(self) -> None:
        """Post whatever of the ended turn is not there yet. Raises TryLater, PlatformDown, Refused."""
