"""Following a conversation: what runs here is heard at once, what runs elsewhere is looked up in the store."""

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
from adapters.web.fragments import Fragment, running, waiting, whole
from adapters.web.rooms import Room, room_of, still_open
from adapters.web.state import Web, web_of
from codeact_bot.errors import StoreUnavailable
from codeact_bot.types import Incoming, Query, ThreadId, Turn

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks into the store: how late one hears of what another worker does."""
PACE = 0.12
"""Seconds between two messages to a browser, at least."""
KEEP = 20.0
"""Seconds after which a silent stream says that it is alive."""
BACK = 50
"""Turns that a stream catches up with; a page that has missed more is loaded anew."""
ALLOWED = 15 * 60.0
"""Seconds after which a stream ends, so that the browser connects again and is asked anew who it is."""


class Follower:
    """One browser's view of a conversation, kept up to date."""

    def __init__(self, web: Web, room: Room, after: str, still_open: Callable[[], Awaitable[bool]]) -> None:
        """Begin where the page ends: after this turn, or with everything where there is none."""
        self._web = web
        self._room = room
        self._after = after
        self._still_open = still_open
        self._fresh = not after
        self._seen: set[str] = set()
        self._sent: dict[str, str] = {}
        self._running: Turn | None = None
        self._waiting: Sequence[Incoming] = ()
        self._known = (-1, "")
        self.reload = False
        """Whether the page is to be loaded anew: it has missed more than can be sent, or is not open any more."""

    @property
    def position(self) -> str:
        """The last turn that the browser has whole."""
        return self._after

    async def look(self) -> list[Fragment]:
        """Bring what is known up to date with the store; returns the turns that have ended since."""
        if not await self._still_open():
            self.reload = True
            return []
        desk, thread = self._web.desk, await self._web.desk.thread(self._room.id)
        self._waiting = await desk.pending(self._room.id)
        now = (thread.turns, thread.updated.isoformat())
        if now == self._known and not self._waiting and self._running is None:
            return []
        first, missed = self._known[0] < 0, thread.turns - max(0, self._known[0])
        self._known = now
        found = list(await desk.find(Query(thread=self._room.id, limit=BACK if first else min(BACK, max(0, missed) + 2))))[::-1]
        self._running = next((turn for turn in found if turn.outcome is None), None)
        new = self._new([turn for turn in found if turn.outcome is not None])
        return await asyncio.to_thread(lambda: [whole(self._room, turn) for turn in new])

    def _new(self, ended: list[Turn]) -> list[Turn]:
        ids = [turn.id for turn in ended]
        if not self._fresh:
            self._fresh = True
            if self._after in ids:
                self._seen.update(ids[: ids.index(self._after) + 1])
            elif len(ids) >= BACK:
                self.reload = True
        new = [turn for turn in ended if turn.id not in self._seen]
        self._seen.update(ids)
        self._after = ids[-1] if ids else self._after
        return new

    def current(self) -> list[Fragment]:
        """The turn that runs, and the questions that wait."""
        story = self._web.hub.story(self._room.id)
        if (story is None or story.turn.id in self._seen) and self._running is not None:
            story = Story(self._running)
        pieces: list[Fragment] = []
        if story is not None and story.turn.id not in self._seen:
            pieces = [whole(self._room, story.turn)] if story.done else list(running(self._room, story, self._sent))
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
    """Write the events until the site closes or the stream has lasted long enough."""
    clock, heard = asyncio.get_running_loop().time, asyncio.Event()
    began = spoke = clock()
    looked = -LOOK
    yield "retry: 1000\n\n"
    with web.hub.following(thread, heard.set):
        while not web.closing.is_set() and clock() - began < ALLOWED:
            heard.clear()
            ended: list[Fragment] = []
            here = web.hub.story(thread)
            if clock() - looked >= LOOK or here is None or here.done:
                try:
                    ended, looked = await follower.look(), clock()
                except StoreUnavailable as error:
                    log.warning("A page waits for the database: %s", error, extra={"action": "follow"})
            if follower.reload:
                yield "event: reload\ndata: 1\n\n"
                return
            pieces = follower.changed([*ended, *follower.current()])
            if pieces or clock() - spoke >= KEEP:
                spoke = clock()
                yield message(follower.position, pieces)
            await pause(web, heard, PACE, LOOK)


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
        return ": here\n\n"
    data = json.dumps([{"id": each.id, "in": each.inside, "html": each.html} for each in pieces])
    return f"id: {position}\nevent: pieces\ndata: {data}\n\n"
