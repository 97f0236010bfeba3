"""What programs can do. Who may is decided by `rooms`, as it is for pages."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from adapters.web.api import views
from adapters.web.api.parameters import AFTER, BEFORE, LIMIT, PLATFORM, SEARCH, STATE
from adapters.web.api.turns import TurnPage, TurnView
from adapters.web.rooms import asker, room_of, writable
from adapters.web.state import viewer_of, web_of
from adapters.web.uploads import files_of, form_of
from codeact_bot.types import WEB, Ending, File, Incoming, Listing, Query, Thread, ThreadId

NO_QUESTION = "Send a question as JSON, {{\"text\": …}}, or as multipart/form-data with text and files: {}."
FIELDS = {"text", "key", "files"}
_question = TypeAdapter(views.Question)


async def me(request: Request) -> Response:
    """Who the caller is."""
    return views.answer(views.MeView.of(viewer_of(request)))


async def threads(request: Request) -> Response:
    """List and search conversations."""
    viewer, limit, state, platform = viewer_of(request), LIMIT.of(request), STATE.of(request), PLATFORM.of(request)
    listing = Listing(
        text=SEARCH.of(request),
        prefix=f"{platform}:" if platform else "",
        running=state == "running",
        ending=Ending(state) if state in set(Ending) else None,
        person="" if viewer.sees_all else viewer.id,
        after=_after(AFTER.of(request)),
        limit=limit + 1,
    )
    found = [thread for thread in await web_of(request).desk.browse(listing) if viewer.may_see(thread)]
    more = _cursor(found[limit - 1]) if len(found) > limit else ""
    return views.answer(views.ThreadPage(threads=tuple(map(views.ThreadView.of, found[:limit])), next=more))


def _cursor(thread: Thread) -> str:
    return f"{thread.updated.timestamp() * 1000:.0f}.{thread.id}"


def _after(text: str) -> tuple[datetime, ThreadId] | None:
    if not text:
        return None
    stamp, _, name = text.partition(".")
    seconds, milliseconds = divmod(int(stamp), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000), ThreadId(name)


async def begin(request: Request) -> Response:
    """Ask the first question of a new conversation."""
    viewer = asker(request)
    question, files = await _asked(request)
    name = hashlib.sha256(f"{viewer.id}\0{question.key}".encode()).hexdigest()[:24] if question.key else secrets.token_hex(12)
    return await _hand_in(request, ThreadId(f"{WEB}{name}"), question, files)


async def ask(request: Request) -> Response:
    """Ask in a conversation."""
    room = await writable(request)
    question, files = await _asked(request)
    return await _hand_in(request, room.id, question, files)


async def _hand_in(request: Request, thread: ThreadId, question: views.Question, files: tuple[File, ...]) -> Response:
    viewer = viewer_of(request)
    name = f"{WEB}{viewer.id}:{question.key or secrets.token_hex(12)}"
    place = "" if thread.startswith(WEB) else WEB
    await web_of(request).inbox.accept(Incoming(id=name, thread=thread, author=viewer.author, text=question.text, files=files, place=place))
    return views.answer(views.Receipt(thread=thread, question=name), 202)


async def _asked(request: Request) -> tuple[views.Question, tuple[File, ...]]:
    """Read a question and its files. Raises HTTPException."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return _question.validate_json(await request.body(), strict=True), ()
        if kind != "multipart/form-data":
            raise HTTPException(415, NO_QUESTION.format(f"this is {kind or 'of no type'}"))
        async with form_of(request, web_of(request).file_bytes) as form:
            return _question.validate_python(_fields(form)), await files_of(form)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HTTPException(400, NO_QUESTION.format(f"{where}: {first['msg']}" if where else first["msg"])) from None


def _fields(form: FormData) -> dict[str, object]:
    names = [name for name, _ in form.multi_items()]
    wrong = [name for name, value in form.multi_items() if isinstance(value, UploadFile) is not (name == "files")]
    if wrong or not FIELDS.issuperset(names) or names.count("text") != 1 or names.count("key") > 1:
        raise HTTPException(400, NO_QUESTION.format("the fields are text and key, once, and files"))
    return {name: value for name, value in form.multi_items() if name != "files"}


async def thread(request: Request) -> Response:
    """One conversation."""
    return views.answer(views.ThreadView.of((await room_of(request)).thread))


async def turns(request: Request) -> Response:
    """The turns of a conversation with their steps, the newest first; one that runs is the first."""
    web, room, limit, before = web_of(request), await room_of(request), LIMIT.of(request), BEFORE.of(request)
    until = (await room.turn(web, before)).started if before else None
    found = await web.desk.find(Query(thread=room.id, until=until, limit=limit + 1))
    more = found[limit - 1].id if len(found) > limit else ""
    return views.answer(TurnPage(turns=tuple(map(TurnView.of, found[:limit])), next=more))


async def turn(request: Request) -> Response:
    """One turn with its steps."""
    web, room = web_of(request), await room_of(request)
    return views.answer(TurnView.of(await room.turn(web, request.path_params["turn"])))


async def schedules(request: Request) -> Response:
    """The schedules that the caller made; for auditors and admins, all."""
    viewer = viewer_of(request)
    found = [each for each in await web_of(request).desk.schedules("") if viewer.sees_all or each.order.author.id == viewer.id]
    return views.answer(views.ScheduleList(schedules=tuple(map(views.ScheduleView.of, found))))
