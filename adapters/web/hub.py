"""Who follows a conversation in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapters.common.story import Story
from codeact_bot.types import ThreadId

Heard = Callable[[], None]
"""Is called when something happened in the conversation."""


class Hub:
    """The turns that run in this process, and who is to be told of what happens in them."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._stories: dict[ThreadId, Story] = {}
        self._heard: defaultdict[ThreadId, set[Heard]] = defaultdict(set)

    def begin(self, story: Story) -> None:
        """A turn begins to run here."""
        self._stories[story.turn.incoming.thread] = story
        self.nudge(story.turn.incoming.thread)

    def story(self, thread: ThreadId) -> Story | None:
        """The turn that runs here; one that has ended as long as somebody may not have seen that."""
        return self._stories.get(thread)

    def end(self, story: Story) -> None:
        """A turn has ended; the store has all of it."""
        thread = story.turn.incoming.thread
        if thread in self._heard:
            self._stories[thread] = story
        else:
            self._stories.pop(thread, None)
        self.nudge(thread)

    def leave(self, story: Story) -> None:
        """A turn does not run here any more, and goes on elsewhere."""
        thread = story.turn.incoming.thread
        if self._stories.get(thread) is story:
            del self._stories[thread]
        self.nudge(thread)

    def nudge(self, thread: ThreadId) -> None:
        """Tell all who follow the conversation that something happened."""
        for heard in tuple(self._heard.get(thread, ())):
            heard()

    @contextmanager
    def following(self, thread: ThreadId, heard: Heard) -> Iterator[None]:
        """Be told while the body runs."""
        self._heard[thread].add(heard)
        try:
            yield
        finally:
            self._heard[thread].discard(heard)
            if not self._heard[thread]:
                del self._heard[thread]
                if thread in self._stories and self._stories[thread].done:
                    del self._stories[thread]
