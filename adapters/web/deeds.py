"""What people do: ask, stop, take back, retry, edit, fork, share."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapters.common.access import REFUSED_STEER
from adapters.common.approvals import ANSWERED, approving, meant, refusal, verdict
from adapters.common.rebuilds import ASKED, rebuilding
from adapters.common.recording import record
from adapters.web import sessions
from adapters.web.rooms import READ_ONLY, Room, address, asker, room_of, writable
from adapters.web.state import Web, page, viewer_of, web_of
from adapters.web.uploads import files_of, form_of
from codeact_bot.types import WEB, Deed, File, Incoming, ThreadId, Turn

DAYS = (1, 7, 30, 90)
"""How long a link may be good."""
VIA = "the web chat"
"""What people of other platforms are told of where a question was asked."""
NOTHING = "Write a question, or attach a file."
NO_PLACE = "Nothing was asked there yet, so I do not know where to post the answer."


async def begin(request: Request) -> Response:
    """Ask the first question of a new conversation."""
    viewer, thread = asker(request), ThreadId(f"{WEB}{secrets.token_hex(12)}")
    text, files, key, _ = await _asked(request)
    await web_of(request).inbox.accept(Incoming(id=key, thread=thread, author=viewer.author, text=text, files=files))
    return _go(thread)


async def ask(request: Request) -> Response:
    """Ask in a conversation."""
    room = await writable(request)
    text, files, key, there = await _asked(request)
    yes = None if files else verdict(text)
    asked = None if yes is None else await meant(web_of(request).desk, room.id)
    if isinstance(asked, str):
        raise HTTPException(409, asked)
    if asked is not None and yes is not None:
        await _decide(request, room, asked, yes=yes)
    else:
        await _hand_in(request, room, text, files, key=key, there=there)
    return Response(status_code=204)


async def _hand_in(request: Request, room: Room, text: str, files: Sequence[File], *, key: str, there: bool = False) -> None:
    web = web_of(request)
    place = "" if room.id.startswith(WEB) else await _place(web, room) if there and room.posts else WEB
    via = "" if place.startswith(WEB) or not place else VIA
    author = viewer_of(request).author
    await web.inbox.accept(Incoming(id=key, thread=room.id, author=author, text=text, files=tuple(files), place=place, via=via))


async def _place(web: Web, room: Room) -> str:
    """Where answers of a conversation of another platform are posted. Raises HTTPException."""
    places = [turn.incoming.place for turn in reversed(await web.desk.turns(room.id, last=50))]
    place = next((place for place in places if place and not place.startswith(WEB)), "")
    if not place:
        raise HTTPException(409, NO_PLACE)
    return place


async def _asked(request: Request) -> tuple[str, tuple[File, ...], str, bool]:
    """Read a question: its text, its files, a key that tells it from others, and whether its answer is to be posted elsewhere, too."""
    async with form_of(request, web_of(request).file_bytes) as form:
        text, files = _text(form, "text").strip(), await files_of(form)
        key, there = _text(form, "key")[:64], _text(form, "there") == "on"
    if not text and not files:
        raise HTTPException(400, NOTHING)
    return text, files, f"web:{viewer_of(request).id}:{key or secrets.token_hex(12)}", there


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


async def stop(request: Request) -> Response:
    """Stop what runs."""
    room = await writable(request)
    await web_of(request).inbox.stop(room.id)
    await record(web_of(request).desk, Deed.STOPPED, viewer_of(request).author, thread=room.id)
    return Response(status_code=204)


async def withdraw(request: Request) -> Response:
    """Take back a question that waits."""
    room = await writable(request)
    async with request.form() as form:
        given = _text(form, "value")
    if not await web_of(request).inbox.withdraw(room.id, given):
        raise HTTPException(409, "This question is being answered already, or was.")
    return Response(status_code=204)


async def retry(request: Request) -> Response:
    """Ask a question again."""
    web, room = web_of(request), await writable(request)
    asked = (await room.turn(web, request.path_params["turn"])).incoming
    await _hand_in(request, room, asked.text, asked.files, key=f"web:retry:{secrets.token_hex(12)}")
    return Response(status_code=204)


async def rebuild(request: Request) -> Response:
    """Run the conversation's recorded code again, where its variables and files are lost."""
    web, room = web_of(request), await writable(request)
    turn = await room.turn(web, request.path_params["turn"])
    if turn.outcome is None or not turn.outcome.rebuild:
        raise HTTPException(409, "There is nothing to be rebuilt.")
    place = "" if room.id.startswith(WEB) else WEB
    if not await web.inbox.accept(rebuilding(turn, room.id, viewer_of(request).author, place)):
        raise HTTPException(409, ASKED)
    return Response(status_code=204)


async def approve(request: Request) -> Response:
    """Let the code run that a turn asks to run."""
    return await _decided(request, yes=True)


async def decline(request: Request) -> Response:
    """Do not let the code run that a turn asks to run."""
    return await _decided(request, yes=False)


async def _decided(request: Request, *, yes: bool) -> Response:
    web, room = web_of(request), await writable(request)
    turn = await room.turn(web, request.path_params["turn"])
    why = await refusal(web.desk, turn, request.path_params["digest"])
    if why:
        raise HTTPException(409, why)
    await _decide(request, room, turn, yes=yes)
    return Response(status_code=204)


async def _decide(request: Request, room: Room, turn: Turn, *, yes: bool) -> None:
    """Answer a turn that asks whether its code may run. Raises HTTPException."""
    web, viewer = web_of(request), viewer_of(request)
    if not viewer.may_steer(room.thread, turn.incoming.asker):
        await record(web.desk, Deed.REFUSED, viewer.author, thread=room.id, turn=turn.id, text=REFUSED_STEER)
        raise HTTPException(403, REFUSED_STEER)
    place = "" if room.id.startswith(WEB) else await _place(web, room) if room.posts else WEB
    if not await web.inbox.accept(approving(turn, yes=yes, author=viewer.author, place=place)):
        raise HTTPException(409, ANSWERED)


async def edit(request: Request) -> Response:
    """Ask a question otherwise, in a conversation that goes on from before it."""
    web, room = web_of(request), await writable(request)
    turn = await room.turn(web, request.path_params["turn"])
    async with request.form(max_part_size=1024 * 1024) as form:
        text = _text(form, "text").strip()
    if not text and not turn.incoming.files:
        raise HTTPException(400, NOTHING)
    thread, whole = await _forked(request, room, turn, before=True)
    files = turn.incoming.files
    incoming = Incoming(id=f"web:edit:{secrets.token_hex(12)}", thread=thread, author=viewer_of(request).author, text=text, files=files)
    await web.inbox.accept(incoming)
    return _go(thread, whole)


async def fork(request: Request) -> Response:
    """Begin a conversation that goes on from a turn; the old one stays as it is."""
    web, room = web_of(request), await room_of(request)
    if not room.may_fork:
        raise HTTPException(403, READ_ONLY)
    turn = await room.turn(web, request.path_params["turn"])
    return _go(*await _forked(request, room, turn, before=False))


async def _forked(request: Request, room: Room, turn: Turn, *, before: bool) -> tuple[ThreadId, bool]:
    """Fork before or after a turn; returns the new conversation, and whether it has the variables and files of then."""
    web, ids = web_of(request), [each.id for each in await web_of(request).desk.turns(room.id)]
    if turn.id not in ids:
        raise HTTPException(409, "This answer has not ended yet, or was undone.")
    made = await web.desk.fork(room.id, ids.index(turn.id) + (not before), WEB.rstrip(":"))
    await web.desk.permit(made.thread, viewer_of(request).id)
    await record(web.desk, Deed.FORKED, viewer_of(request).author, thread=room.id, turn=turn.id, subject=made.thread)
    return made.thread, made.whole


async def sign_out(request: Request) -> Response:
    """End the session, in whatever browser its cookie may be."""
    await sessions.sign_out(request, viewer_of(request).author)
    return JSONResponse({"location": "/signed-out"})


async def shares(request: Request) -> Response:
    """The links to a conversation."""
    return await _shares(request, await writable(request), "")


async def share(request: Request) -> Response:
    """Make a link by which everybody may read."""
    web, room = web_of(request), await writable(request)
    async with request.form() as form:
        days = _text(form, "days")
    if days not in {str(each) for each in DAYS}:
        raise HTTPException(400, f"A link may be good for {', '.join(map(str, DAYS))} days.")
    secret = await web.desk.share(room.id, viewer_of(request).author, float(days))
    return await _shares(request, room, f"{web.base}/s/{quote(secret, safe='')}")


async def unshare(request: Request) -> Response:
    """Make a link void."""
    web, room = web_of(request), await writable(request)
    async with request.form() as form:
        await web.desk.unshare(room.id, _text(form, "value"), viewer_of(request).author)
    return await _shares(request, room, "")


async def _shares(request: Request, room: Room, link: str) -> Response:
    return page(request, "shares.html", room=room, shares=await web_of(request).desk.shares(room.id), link=link, days=DAYS)


def _go(thread: ThreadId, whole: bool = True) -> Response:
    return JSONResponse({"location": address(thread) + ("" if whole else "?lost=1")})
