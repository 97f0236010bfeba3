"""Following a conversation: what runs here is heard at once, what runs elsewhere is looked up in the store.

Between two looks at the whole, a turn that runs elsewhere is glanced at: what it shows of the step under way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from adapters.common.story import Story
from adapters.web.fragments import Fragment, nothing, running, waiting, whole
from adapters.web.rooms import Room, room_of, still_open
from adapters.web.state import Web, web_of
from codeact_bot.errors import StoreUnavailable, ThreadNotFound
from codeact_bot.types import Glimpse, Incoming, Query, ThreadId, Turn

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks into the store: how late one hears of what another worker begins and ends."""
GLANCE = 0.4
"""Seconds between glances at a turn that another worker runs."""
PACE = 0.12
"""Seconds between two messages to a browser, at least."""
KEEP = 20.0
"""Seconds after which a silent stream says that it is alive."""
BACK = 50
"""Turns that a stream catches up with; a page that has missed more is loaded anew."""
ALLOWED = 15 * 60.0
"""Seconds after which a stream ends, so that the browser connects again and shows its cookie, which has an end of its own."""


class Follower:
    """One browser's view of a conversation, kept up to date."""

    def __init__(self, web: Web, room: Room, after: str, still_open: Callable[[], Awaitable[bool]]) -> None:
        """Begin where the page ends: after this turn, or with everything where there is none.

        `_seen` are the turns that the browser has, in their order, and whether the history still has them.
        """
        self._web = web
        self._room = room
        self._after = after
        self._still_open = still_open
        self._fresh = not after
        self._seen: dict[str, bool] = {}
        self._sent: dict[str, str] = {}
        self._running: Turn | None = None
        self._here = ""
        self._glimpse: Glimpse | None = None
        self._waiting: Sequence[Incoming] = ()
        self._known = (-1, 0, "")
        self._looked = -LOOK
        self.reload = False
        """Whether the page is to be loaded anew: it has missed more than can be sent, or is not open any more."""

    @property
    def position(self) -> str:
        """The last turn that the browser has whole."""
        return self._after

    @property
    def pause(self) -> float:
        """Seconds after which there may be news of which nobody here is told."""
        return LOOK if self._running is None or self._is_here() else GLANCE

    def _is_here(self) -> bool:
        """Whether a turn runs in this process, and all before it is known."""
        story = self._web.hub.story(self._room.id)
        return story is not None and not story.done and story.turn.id == self._here

    async def news(self) -> list[Fragment]:
        """Bring what is known up to date; returns the turns that have ended since, and what is left of those that were undone."""
        now, here, story = asyncio.get_running_loop().time(), self._is_here(), self._web.hub.story(self._room.id)
        known = now - self._looked < LOOK and (here or story is None or story.done)
        if known and (here or (self._running is not None and await self._glance(self._running))):
            return []
        found = await self.look()
        self._looked = now
        if self._running is not None and not self._is_here():
            await self._glance(self._running)
        return found

    async def _glance(self, turn: Turn) -> bool:
        """See what a turn that runs elsewhere shows now; False where it has gone on since the last look."""
        self._glimpse = await self._web.desk.glimpse(self._room.id, turn.id)
        return self._glimpse is None or self._glimpse.fits(turn)

    async def look(self) -> list[Fragment]:
        """Look everything up in the store."""
        desk, story = self._web.desk, self._web.hub.story(self._room.id)
        self._here = story.turn.id if story is not None else ""
        try:
            thread = await desk.thread(self._room.id) if await self._still_open() else None
        except ThreadNotFound:
            thread = None
        if thread is None:
            self.reload = True
            return []
        self._waiting = await desk.pending(self._room.id)
        now = (thread.turns, thread.opened, thread.updated.isoformat())
        if now == self._known and not self._waiting and self._running is None:
            return []
        first, missed = self._known[0] < 0, thread.turns - max(0, self._known[0])
        self._known = now
        limit = BACK if first or missed < 0 else min(BACK, missed + 2)
        found = await self._found(limit)
        if self._seen and limit < BACK and all(turn.id not in self._seen for turn in found):
            limit = BACK
            found = await self._found(limit)
        self._running = next((turn for turn in found if turn.outcome is None), None)
        ended = [turn for turn in found if turn.outcome is not None]
        gone, new = self._gone([turn.id for turn in ended], everything=len(found) < limit), self._new(ended)
        pieces = await asyncio.to_thread(lambda: [whole(self._room, turn) for turn in new])
        return [*(nothing(f"turn-{each}") for each in gone), *pieces]

    async def _found(self, limit: int) -> list[Turn]:
        return list(await self._web.desk.find(Query(thread=self._room.id, limit=limit)))[::-1]

    def _gone(self, ids: list[str], *, everything: bool) -> list[str]:
        """The turns that the page shows and the history has no more: not among those found, though others are that came before them."""
        known = [each for each, there in self._seen.items() if there]
        since = 0 if everything else next((number for number, each in enumerate(known) if each in ids), len(known))
        gone = [each for each in known[since:] if each not in ids]
        self._seen.update(dict.fromkeys(gone, False))
        return gone

    def _new(self, ended: list[Turn]) -> list[Turn]:
        ids = [turn.id for turn in ended]
        if not self._fresh:
            self._fresh = True
            if self._after in ids:
                self._seen.update(dict.fromkeys(ids[: ids.index(self._after) + 1], True))
            else:
                self.reload = True
        new = [turn for turn in ended if turn.id not in self._seen]
        self._seen.update(dict.fromkeys(ids, True))
        self._after = ids[-1] if ids else ""
        return new

    def current(self) -> list[Fragment]:
        """The turn that runs, and the questions that wait."""
        story = self._web.hub.story(self._room.id)
        if story is not None and story.turn.id != self._here:
            return []  # what ended before it comes first, with the next look
        if (story is None or story.turn.id in self._seen) and self._running is not None:
            story = Story.elsewhere(self._running, self._glimpse)
        pieces: list[Fragment] = []
        if story is not None and story.turn.id not in self._seen:
            pieces = [whole(self._room, story.turn)] if story.done else list(running(self._room, story, self._sent))
            if story.done:
                self._seen[story.turn.id] = True
        head = story.turn.incoming.id if story else None
        return [*pieces, waiting(self._room, [each for each in self._waiting if each.id != head])]

    def changed(self, fragments: Sequence[Fragment]) -> list[Fragment]:
        """Those that the browser does not have yet."""
        new = []
        for each in fragments:
            mark = hashlib.blake2b(each.html.encode("utf-8", "replace"), digest_size=16).hexdigest()
            if self._sent.get(each.id) != mark:
                self._sent[each.id] = mark
                new.append(each)
        return new


async def events(request: Request) -> Response:
    """The stream of a conversation's page; after a break it goes on where the browser says it was."""
    web, room = web_of(request), await room_of(request)
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    follower = Follower(web, room, after, partial(still_open, request, room))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream(web, room.id, follower), media_type="text/event-stream", headers=headers)


async def stream(web: Web, thread: ThreadId, follower: Follower) -> AsyncIterator[str]:
    """Write the events until the site closes, the person may no longer see them, or the stream has lasted long enough."""
    clock, heard = asyncio.get_running_loop().time, asyncio.Event()
    began = spoke = clock()
    yield "retry: 1000\n\n"
    with web.hub.following(thread, heard.set):
        while not web.closing.is_set() and clock() - began < ALLOWED:
            heard.clear()
            ended: list[Fragment] = []
            try:
                ended = await follower.news()
            except StoreUnavailable as error:
                log.warning("A page waits for the database: %s", error, extra={"action": "follow"})
            if follower.reload:
                yield "event: reload\ndata: 1\n\n"
                return
            pieces = follower.changed([*ended, *follower.current()])
            if pieces or clock() - spoke >= KEEP:
                spoke = clock()
                yield message(follower.position, pieces)
            await pause(web, heard, PACE, follower.pause)


async def pause(web: Web, heard: asyncio.Event, least: float, most: float) -> None:
    """Wait until something happens, between so long and so long."""
    await asyncio.sleep(least)
    waits = [asyncio.ensure_future(event.wait()) for event in (heard, web.closing)]
    try:
        await asyncio.wait(waits, timeout=most - least, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)


def message(position: str, pieces: Sequence[Fragment]) -> str:
    """Write one event: pieces of the page, or a sign of life."""
    if not pieces:
        return "event: here\ndata: 1\n\n"
    data = json.dumps([{"id": each.id, "in": each.inside, "html": each.html} for each in pieces])
    return f"id: {position}\nevent: pieces\ndata: {data}\n\n"
