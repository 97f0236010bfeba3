"""A conversation as somebody looks at it: which one, what they may do there, and where its pages are."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from adapters.common.recording import look, once
from adapters.render import one_line
from adapters.web.access import Viewer
from adapters.web.proxy import household
from adapters.web.state import Web, viewer_of, web_of
from codeact_bot.errors import ThreadNotFound, TurnNotFound
from codeact_bot.types import WEB, Deed, Entry, File, Share, Thread, ThreadId, Turn

NOT_YOURS = "There is no such conversation, or it is not open to you. Ask somebody who takes part in it for a link."
ONLY_READING = "You can read, but not ask."
READ_ONLY = "You can read this conversation, but not write in it."
NO_LINK = "This link is not good any more. It was made void, or its time is over."
NO_FILE = "There is no such file in this answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a page about one conversation needs to know."""

    thread: Thread
    base: str
    """Beginning of the addresses of its pages."""
    may_write: bool
    """Whether the person may ask here, stop, retry, and share."""
    may_fork: bool
    """Whether the person may begin a conversation of their own from it."""
    secret: str = ""
    """The secret of the link that leads here, where one does."""
    posts: bool = False
    """Whether an answer may be posted at the conversation's own platform, if that is asked for."""

    @property
    def id(self) -> ThreadId:
        """The conversation's id."""
        return self.thread.id

    @property
    def title(self) -> str:
        """What to call it."""
        return title_of(self.thread)

    @property
    def platform(self) -> str:
        """Where it was begun."""
        return platform_of(self.thread.id)

    async def turn(self, web: Web, turn_id: str) -> Turn:
        """One of its turns. Raises TurnNotFound, for those of other conversations, too."""
        turn = await web.desk.turn(turn_id)
        if turn.incoming.thread != self.id:
            raise TurnNotFound(f"There is no answer {turn_id!r} in this conversation.")
        return turn


def title_of(thread: Thread) -> str:
    """Return a conversation's title, on one line."""
    return one_line(thread.title, 90) or "Untitled"


def platform_of(thread: ThreadId) -> str:
    """Return the platform that a conversation was begun on."""
    return one_line(thread.partition(":")[0], 20)


def address(thread: ThreadId) -> str:
    """Return the address of a conversation's page."""
    return f"/t/{quote(thread, safe='')}"


async def room_of(request: Request) -> Room:
    """The room of a request under /t or, by a link that was shared, under /s. Raises HTTPException, ThreadNotFound."""
    web = web_of(request)
    if "secret" in request.path_params:
        secret = request.path_params["secret"]
        share = await web.desk.shared(secret)
        if share is None:
            raise HTTPException(404, NO_LINK)
        thread, base = await web.desk.thread(share.thread), f"/s/{quote(secret, safe='')}"
        await _record_reader(request, share, thread)
        return Room(thread=thread, base=base, may_write=False, may_fork=False, secret=secret)
    return await _own(request)


async def still_open(request: Request, room: Room) -> bool:
    """Whether a room is open still to whom a stream of it was opened."""
    web = web_of(request)
    if room.secret:
        return await web.desk.shared(room.secret) is not None
    viewer = await request.state.again()
    return viewer is not None and viewer.may_see(await web.desk.thread(room.id))


async def _own(request: Request) -> Room:
    """The room of somebody who is known. Conversations that are not open to them answer as those that there are not."""
    web, viewer, thread_id = web_of(request), viewer_of(request), ThreadId(request.path_params["thread"])
    try:
        thread = await web.desk.thread(thread_id)
    except ThreadNotFound:
        raise HTTPException(404, NOT_YOURS) from None
    if not viewer.may_see(thread):
        await _record(request, viewer, thread, Deed.REFUSED)
        raise HTTPException(404, NOT_YOURS)
    if not viewer.takes_part(thread):
        await _record(request, viewer, thread, Deed.VIEWED)
    own = thread_id.startswith(WEB)
    may_write = viewer.may_write(thread) and (own or (web.answers != "own" and not thread_id.startswith("terminal:")))
    return Room(
        thread=thread,
        base=address(thread_id),
        may_write=may_write,
        may_fork=viewer.may_ask,
        posts=may_write and not own and web.answers == "there",
    )


async def _record(request: Request, viewer: Viewer, thread: Thread, deed: Deed) -> None:
    """Record that somebody looked at, or was refused, a conversation of others; once in ten minutes for each kind of page."""
    what = f"{request.method} {request.scope['route'].path}"
    turn = str(request.path_params.get("turn", ""))
    await web_of(request).desk.record(look(deed, viewer.author, what, thread=thread.id, turn=turn))


async def _record_reader(request: Request, share: Share, thread: Thread) -> None:
    """Record who reads by a link, or from where; once in ten minutes, whatever they look at."""
    web, viewer = web_of(request), request.state.viewer
    if viewer is not None and viewer.takes_part(thread):
        return
    address = web.proxies.address(request)
    key = once(f"{Deed.VIEWED} {share.id} {viewer.id if viewer is not None else household(address)}")
    author, where = viewer.author if viewer is not None else None, f"from {one_line(address, 60)}"
    await web.desk.record(Entry(kind=Deed.VIEWED, key=key, author=author, thread=thread.id, subject=share.name, text=where))


def asker(request: Request) -> Viewer:
    """The person behind a request that begins something of their own. Raises HTTPException."""
    viewer = viewer_of(request)
    if not viewer.may_ask:
        raise HTTPException(403, ONLY_READING)
    return viewer


async def writable(request: Request) -> Room:
    """The room of a request that changes something in it. Raises HTTPException, ThreadNotFound."""
    room = await room_of(request)
    if not room.may_write:
        raise HTTPException(403, READ_ONLY)
    return room


def file_of(turn: Turn, digest: str) -> File:
    """A file that was sent in with a turn's question or came of it. Raises HTTPException."""
    runs = [step.execution for step in turn.steps if step.execution is not None]
    for file in (*turn.incoming.files, *(file for run in runs for file in (*run.images, *run.files))):
        if file.digest == digest:
            return file
    raise HTTPException(404, NO_FILE)
