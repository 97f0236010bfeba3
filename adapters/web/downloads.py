"""Files of a conversation: pictures that really are ones, text to be read, everything else to be kept; nothing is run."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from adapters.common.files import free_name
from adapters.common.recording import record
from adapters.common.tables import csv_file
from adapters.web.markup import printed
from adapters.web.rooms import file_of, room_of
from adapters.web.state import page, viewer_of, web_of
from codeact_bot.types import Deed, Execution, File, Turn

RASTER = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""First bytes of the pictures that a page shows."""
ALONE = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""The policy of what a sandbox made, should a browser open it all the same."""
KINDS = {"md": "text/markdown", "json": "application/json", "ipynb": "application/x-ipynb+json", "jsonl": "application/jsonl", "csv": "text/csv"}
READABLE = 1_000_000
"""Bytes of a file that are shown as text."""


def raster(data: bytes) -> str:
    """Return the type of a picture that may be shown; empty for everything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for first, kind in RASTER.items() if data.startswith(first)), "")


def attachment(file: File, data: bytes, kind: str = "application/octet-stream") -> Response:
    """Let a file be kept, under a plain name."""
    name = free_name(file.name, ())
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers = {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}",
        "content-security-policy": ALONE,
    }
    return Response(data, media_type=kind, headers=headers)


async def file(request: Request) -> Response:
    """A file: shown where it is a picture and that is asked for, to be kept otherwise."""
    wanted, data = await _file(request)
    kind = raster(data) if request.query_params.get("show") else ""
    if kind:
        return Response(data, media_type=kind, headers={"content-security-policy": ALONE, "cache-control": "private, max-age=86400"})
    return attachment(wanted, data)


async def text(request: Request) -> Response:
    """A file, to be read."""
    wanted, data = await _file(request)
    room = await room_of(request)
    shown = printed(data[:READABLE].decode("utf-8", "replace"))
    name = PurePosixPath(free_name(wanted.name, ())).name
    return page(request, "text.html", room=room, title=name, text=shown, left_out=max(0, len(data) - READABLE))


async def _file(request: Request) -> tuple[File, bytes]:
    web, room = web_of(request), await room_of(request)
    wanted = file_of(await room.turn(web, request.path_params["turn"]), request.path_params["digest"])
    return wanted, await web.desk.load(wanted)


async def output(request: Request) -> Response:
    """All that a step printed, to be read."""
    web, room = web_of(request), await room_of(request)
    step = request.path_params["step"]
    run = _run(await room.turn(web, request.path_params["turn"]), step)
    return page(request, "text.html", room=room, title=f"Output of step {step + 1}", text=printed(run.output), left_out=run.cut)


async def table(request: Request) -> Response:
    """The rows of a table that came back, as CSV."""
    web, room = web_of(request), await room_of(request)
    step, number = request.path_params["step"], request.path_params["number"]
    run = _run(await room.turn(web, request.path_params["turn"]), step)
    if number >= len(run.tables):
        raise HTTPException(404, "There is no such table.")
    made = csv_file(run.tables[number], f"table-{step + 1}-{number + 1}.csv")
    return attachment(made, made.data or b"", "text/csv")


async def export(request: Request) -> Response:
    """The whole conversation as a file."""
    web, room, kind = web_of(request), await room_of(request), request.path_params["kind"]
    if kind not in KINDS or kind == "csv":
        raise HTTPException(404, "There is no such format.")
    made = await web.desk.export(room.id, kind)
    if request.state.viewer is not None:
        await record(web.desk, Deed.EXPORTED, viewer_of(request).author, thread=room.id, subject=kind)
    return attachment(made, made.data or b"", KINDS[kind])


def _run(turn: Turn, index: int) -> Execution:
    for step in turn.steps:
        if step.index == index and step.execution is not None:
            return step.execution
    raise HTTPException(404, "There is no such step.")
