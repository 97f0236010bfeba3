"""Pages of long lists: the cursors that say where the next one begins, and the filters of records."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta

from codeact_bot.errors import QueryInvalid
from codeact_bot.store import documents
from codeact_bot.store.documents import Document
from codeact_bot.types import Trail

NOWHERE = "There is no such page: its cursor is not one that this list gave out. Begin at the first page."
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

Place = tuple[datetime, int, str]
"""Where a run stands among all: when it began, its number in its thread, its id."""


def run(place: Place) -> str:
    """Return the cursor behind a run."""
    started, number, name = place
    return _pack([(started - EPOCH) // MILLISECOND, number, name])


def place(cursor: str) -> Place:
    """Read the cursor of a list of runs. Raises QueryInvalid."""
    match _unpack(cursor):
        case [int(started), int(number), str(name)] if abs(started) < 10**14 and abs(number) < 2**63:
            return EPOCH + started * MILLISECOND, number, name
    raise QueryInvalid(NOWHERE)


def after(place: Place) -> Document:
    """Match the runs behind a place."""
    started, number, name = place
    earlier = {"started": {"$lt": started}}, {"started": started, "number": {"$lt": number}}
    return {"started": {"$lte": started}, "$or": [*earlier, {"started": started, "number": number, "_id": {"$lt": name}}]}


def number(last: int) -> str:
    """Return the cursor behind a record."""
    return _pack([last])


def before(cursor: str) -> int:
    """Read the cursor of a list of records. Raises QueryInvalid."""
    match _unpack(cursor):
        case [int(last)] if abs(last) < 2**63:
            return last
    raise QueryInvalid(NOWHERE)


def trail(trail: Trail) -> Document:
    """Match the records of a trail."""
    given = {"content.author.id": trail.person, "content.thread": trail.thread, "content.turn": trail.turn, "content.subject": trail.subject}
    match: Document = {name: documents.encode(value) for name, value in given.items() if value}
    if trail.kind is not None:
        match["kind"] = trail.kind.value
    if trail.cursor:
        match["_id"] = {"$lt": before(trail.cursor)}
    bounds = {name: at for name, at in (("$gte", trail.since), ("$lt", trail.until)) if at is not None}
    return match | ({"at": bounds} if bounds else {})


def _pack(values: list[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _unpack(cursor: str) -> object:
    try:
        return json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise QueryInvalid(NOWHERE) from None
