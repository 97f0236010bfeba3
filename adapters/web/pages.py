"""The pages of the chat."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from adapters.web.fragments import whole
from adapters.web.rooms import address, platform_of, room_of, title_of
from adapters.web.state import page, viewer_of, web_of
from codeact_bot.types import Ending, Listing, Query, Thread, ThreadId, now

LISTED = 40
"""Conversations that the list shows at a time."""
SHOWN = 20
"""Turns of a conversation that its page shows at a time."""
SHOWN_AT = 200
"""Turns that a page shows at most which begins at a certain one."""
PLATFORMS = {"web": "Web", "slack": "Slack", "discord": "Discord", "terminal": "Terminal"}
STATES = {
    "running": "Running",
    "answered": "Answered",
    "failed": "Failed",
    "stopped": "Stopped",
    "limit": "Out of budget",
    "approval": "Asks for a yes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the list of conversations."""

    address: str
    title: str
    platform: str
    people: tuple[str, ...]
    at: datetime
    age: str
    state: str
    label: str
    """The state in words."""

    @classmethod
    def of(cls, thread: Thread) -> Row:
        """Describe a conversation."""
        state = "running" if thread.running else str(thread.ending or "")
        platform = platform_of(thread.id)
        return cls(
            address=address(thread.id),
            title=title_of(thread),
            platform=PLATFORMS.get(platform, platform),
            people=thread.participants,
            at=thread.updated,
            age=age_text(thread.updated),
            state=state,
            label=STATES.get(state, state or "New"),
        )


def age_text(at: datetime) -> str:
    """`now`, `5 min`, `3 h`, `Tue`, `12 Nov`, `12 Nov 2025`."""
    today, seconds = now(), (now() - at).total_seconds()
    if seconds < 3600:
        return "now" if seconds < 60 else f"{seconds // 60:.0f} min"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h"
    return at.strftime("%a" if seconds < 6 * 86_400 else "%-d %b" if at.year == today.year else "%-d %b %Y")


async def home(request: Request) -> Response:
    """The conversations, and room for a new one."""
    return page(request, "home.html", room=None, platforms=PLATFORMS, states=STATES, **await _list(request))


async def conversations(request: Request) -> Response:
    """The list by itself, as it is narrowed by typing, or its next page."""
    return page(request, "list.html", **await _list(request))


async def _list(request: Request) -> dict[str, Any]:
    given, viewer = request.query_params, viewer_of(request)
    wanted = {name: given.get(name, "")[:200] for name in ("text", "platform", "state")}
    listing = Listing(
        text=wanted["text"],
        prefix=f"{wanted['platform']}:" if wanted["platform"] in PLATFORMS else "",
        running=wanted["state"] == "running",
        ending=Ending(wanted["state"]) if wanted["state"] in set(Ending) else None,
        person="" if viewer.sees_all else viewer.id,
        after=_after(given.get("after", "")),
        limit=LISTED + 1,
    )
    found = await web_of(request).desk.browse(listing)
    rows, more = [Row.of(thread) for thread in found[:LISTED]], ""
    if len(found) > LISTED:
        last = found[LISTED - 1]
        more = f"/conversations?{urlencode({**wanted, 'after': f'{last.updated.timestamp() * 1000:.0f} {last.id}'})}"
    return {"rows": rows, "more": more, "wanted": wanted}


def _after(text: str) -> tuple[datetime, ThreadId] | None:
    stamp, _, name = text.partition(" ")
    if not stamp.isdigit() or len(stamp) > 13:
        return None
    seconds, milliseconds = divmod(int(stamp), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000), ThreadId(name)


async def conversation(request: Request) -> Response:
    """A conversation's page: its last turns, or those from a certain one on."""
    web, room = web_of(request), await room_of(request)
    at = request.query_params.get("at", "")
    since, limit = ((await room.turn(web, at)).started, SHOWN_AT) if at else (None, SHOWN)
    found = [turn for turn in await web.desk.find(Query(thread=room.id, since=since, limit=limit + 1)) if turn.outcome is not None]
    turns = list(found[:limit])[::-1]
    return page(
        request,
        "conversation.html",
        room=room,
        age=age_text(room.thread.updated),
        platform=PLATFORMS.get(room.platform, room.platform),
        turns=await asyncio.to_thread(lambda: [whole(room, turn) for turn in turns]),
        lost="lost" in request.query_params,
        after=turns[-1].id if turns else "",
        earlier=turns[0].id if turns and (at or len(found) > limit) else "",
        platforms=PLATFORMS,
        states=STATES,
        **(await _list(request) if request.state.viewer is not None else {"rows": [], "more": "", "wanted": {}}),
    )


async def signed_out(request: Request) -> Response:
    """Say that one is signed out."""
    return page(request, "sentence.html", title="You are signed out", rest="", again=True)


async def earlier(request: Request) -> Response:
    """The turns before one, to be put above it."""
    web, room = web_of(request), await room_of(request)
    first = await room.turn(web, request.path_params["turn"])
    found = await web.desk.find(Query(thread=room.id, until=first.started, limit=SHOWN + 1))
    turns = list(found[:SHOWN])[::-1]
    more = turns[0].id if len(found) > SHOWN else ""
    return page(request, "earlier.html", room=room, turns=await asyncio.to_thread(lambda: [whole(room, turn) for turn in turns]), earlier=more)
