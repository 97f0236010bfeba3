"""Following a conversation as JSON, by server-sent events, until it rests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from adapters.common.story import Story
from adapters.web.api import views
from adapters.web.api.parameters import SINCE
from adapters.web.api.turns import ProgressView, TurnView
from adapters.web.follow import ALLOWED, BACK, KEEP, LOOK, PACE, pause
from adapters.web.rooms import room_of, still_open
from adapters.web.state import Web, web_of
from codeact_bot.errors import StoreUnavailable
from codeact_bot.types import Query, ThreadId, Turn

log = logging.getLogger(__name__)


class Listener:
    """What one caller has heard of a conversation."""

    def __init__(self, web: Web, thread: ThreadId, after: str, still_open: Callable[[], Awaitable[bool]]) -> None:
        """Begin after this turn, or with the last fifty."""
        self._web = web
        self._thread = thread
        self._after = after
        self._seen: set[str] = set()
        self._said = ""
        self._running: Turn | None = None
        self._still_open = still_open
        self.closed = False
        """Whether the conversation is not open any more to who listens."""
        self.rests = False
        """Whether nothing waits and nothing runs."""

    async def look(self) -> list[str]:
        """The turns that have ended since, as events."""
        if not await self._still_open():
            self.closed = True
            return []
        waits = await self._web.desk.pending(self._thread)
        found = list(await self._web.desk.find(Query(thread=self._thread, limit=BACK)))[::-1]
        ended = [turn for turn in found if turn.outcome is not None]
        self._running = next((turn for turn in found if turn.outcome is None), None)
        ids = [turn.id for turn in ended]
        if self._after in ids:
            self._seen.update(ids[: ids.index(self._after) + 1])
        self.rests = not waits
        return [self._told(turn) for turn in ended if turn.id not in self._seen]

    def _told(self, turn: Turn) -> str:
        self._seen.add(turn.id)
        return f"id: {turn.id}\nevent: turn\ndata: {views.written(TurnView.of(turn))}\n\n"

    async def progress(self) -> list[str]:
        """What the turn that runs does now, where that is news."""
        story = self._web.hub.story(self._thread)
        if (story is None or story.done) and self._running is not None:
            story = Story.elsewhere(self._running, await self._web.desk.glimpse(self._thread, self._running.id))
        if story is None or story.done or story.turn.id in self._seen:
            return []
        said = views.written(ProgressView.of(story))
        news, self._said = said != self._said, said
        return [f"event: progress\ndata: {said}\n\n"] if news else []


async def events(request: Request) -> Response:
    """Follow a conversation: `turn` for each turn that has ended, `progress` for one that runs, `rest` at the end."""
    web, room = web_of(request), await room_of(request)
    since = request.headers.get("last-event-id") or SINCE.of(request)
    listener = Listener(web, room.id, since, partial(still_open, request, room))
    return StreamingResponse(_stream(web, room.id, listener), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _stream(web: Web, thread: ThreadId, listener: Listener) -> AsyncIterator[bytes]:
    clock, heard = asyncio.get_running_loop().time, asyncio.Event()
    began = spoke = clock()
    looked = -LOOK
    with web.hub.following(thread, heard.set):
        while not web.closing.is_set() and clock() - began < ALLOWED:
            heard.clear()
            said: list[str] = []
            here = web.hub.story(thread)
            try:
                if clock() - looked >= LOOK or here is None or here.done:
                    said, looked = await listener.look(), clock()
                said += await listener.progress()
            except StoreUnavailable as error:
                log.warning("A program waits for the database: %s", error, extra={"action": "follow"})
            if listener.closed:
                return
            if listener.rests:
                said.append("event: rest\ndata: {}\n\n")
            if said or clock() - spoke >= KEEP:
                spoke = clock()
                yield ("".join(said) or ": here\n\n").encode("utf-8", "replace")
            if listener.rests:
                return
            await pause(web, heard, PACE, LOOK)
