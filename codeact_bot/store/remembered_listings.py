"""The part of MemoryStore that lists and looks at conversations, and keeps the links by which they are shared."""

from __future__ import annotations

from collections.abc import Sequence

from codeact_bot.errors import ThreadNotFound
from codeact_bot.store import records
from codeact_bot.store.remembered import RememberedThread
from codeact_bot.store.remembered_schedules import RememberedSchedules
from codeact_bot.types import Glimpse, Listing, Share, Thread, ThreadId, now


class RememberedListings(RememberedSchedules):
    """Lists of conversations, and shares, in memory."""

    def __init__(self) -> None:
        """Have neither."""
        super().__init__()
        self._threads: dict[ThreadId, RememberedThread] = {}
        self._shares: dict[str, Share] = {}

    async def thread(self, thread: ThreadId) -> Thread:
        """Describe a conversation. Raises ThreadNotFound."""
        if thread not in self._threads:
            raise ThreadNotFound(records.no_thread(thread))
        return self._threads[thread].view()

    async def threads(self, *, limit: int) -> Sequence[Thread]:
        """The conversations, the last active first, at most 1,000."""
        last = sorted(self._threads.values(), key=lambda each: each.updated, reverse=True)
        return [each.view() for each in last[: records.bounded(limit)]]

    async def glimpse(self, thread: ThreadId, turn_id: str) -> Glimpse | None:
        """What a turn that runs shows of the step under way; None where nothing was kept of that."""
        turns = self._threads[thread].turns if thread in self._threads else []
        return next((each.glimpse for each in turns if each.turn.id == turn_id and each.turn.outcome is None), None)

    async def find_words(self, limit: int) -> int:
        """There are none of before lists were searched."""
        return 0

    async def browse(self, listing: Listing) -> Sequence[Thread]:
        """The conversations that fit, the last active first, at most 1,000."""
        found = [each for each in self._threads.values() if each.fits(listing)]
        found.sort(key=lambda each: each.id)
        found.sort(key=lambda each: each.updated, reverse=True)
        return [each.view() for each in found[: records.bounded(listing.limit)]]

    async def save_share(self, share: Share) -> None:
        """Keep a link."""
        self._shares[share.id] = share

    async def share(self, share_id: str) -> Share | None:
        """A link that is still good; None where there is none."""
        found = self._shares.get(share_id)
        return found if found and found.until > now() else None

    async def shares(self, thread: ThreadId) -> Sequence[Share]:
        """The links to a conversation that are still good, the first made first."""
        good = [each for each in self._shares.values() if each.thread == thread and each.until > now()]
        return sorted(good, key=lambda each: (each.made, each.id))[: records.FOUND]

    async def remove_share(self, thread: ThreadId, share_id: str) -> Share | None:
        """Make a link to a conversation void and return it; None where there is none."""
        there = share_id in self._shares and self._shares[share_id].thread == thread
        return self._shares.pop(share_id) if there else None
