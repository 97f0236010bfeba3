"""The chain of the audit: how a record is sealed, and how it becomes a document and comes back.

A record's hash covers its number, key, kind, time, what it erases, the hash of the record before and a digest of the content. The digest is
salted: once content and salt are removed, nobody can find out a short content by trying, and the chain still holds.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

from codeact_bot.store import documents
from codeact_bot.store.documents import Document
from codeact_bot.types import Deed, Entry, File, Receipt, Record, Span, now

GENESIS = Receipt(number=0, hash="0" * 64)
"""What the first record follows."""
FRAME = ("kind", "key", "at", "erases")
"""Fields of an entry that stay when its content is removed."""
TEXT_BYTES = 1024 * 1024
"""Longest text of one record."""


def seal(entry: Entry, after: Receipt) -> Document:
    """Return the document of an entry in its place behind `after`."""
    content, salt = content_of(entry), secrets.token_hex(16)
    row: Document = {"_id": after.number + 1, "key": documents.encode(entry.key), "kind": entry.kind.value, "at": _exact(entry.at)}
    row |= {"erases": [[span.first, span.last] for span in entry.erases]} if entry.erases else {}
    row |= {"digest": digest(content, salt), "previous": after.hash, "salt": salt, "content": content}
    return row | {"hash": frame_hash(row)}


def _exact(at: datetime) -> datetime:
    """Return a time as MongoDB gives it back."""
    utc = at.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def content_of(entry: Entry) -> Document:
    """Return what of an entry can be removed later; what has its default is left out, so that later versions can add fields."""
    row = plain(replace(entry, text=documents.shorten(documents.encode(entry.text), TEXT_BYTES)))
    return {name: value for name, value in row.items() if name not in FRAME}


def plain(value: Any) -> Any:
    """Return a value for BSON and JSON alike."""
    if is_dataclass(value):
        return {each.name: plain(found) for each in fields(value) if not _left_out(value, each, found := getattr(value, each.name))}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return documents.encode(value)


def _left_out(owner: Any, each: Field[Any], value: Any) -> bool:
    if isinstance(owner, File) and each.name == "data":
        return True
    return each.default is not MISSING and bool(value == each.default)


def digest(content: Mapping[str, Any], salt: str) -> str:
    """Return the salted digest of a content."""
    return hashlib.sha256(f"{salt}{canonical(content)}".encode()).hexdigest()


def frame_hash(row: Mapping[str, Any]) -> str:
    """Return the hash of what stays of a record."""
    frame = {name: row.get(name) for name in ("_id", "key", "kind", "at", "erases", "digest", "previous")}
    return hashlib.sha256(canonical(frame).encode()).hexdigest()


def canonical(value: Mapping[str, Any]) -> str:
    """Return the one JSON text of a document."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_text)


def _text(value: object) -> str:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else repr(value)


def end(row: Mapping[str, Any]) -> Receipt:
    """Return the chain's end behind a record."""
    return Receipt(number=row["_id"], hash=row["hash"])


def record(row: Mapping[str, Any]) -> Record:
    """Read a record; from one that somebody damaged, what can be read."""
    content = row.get("content")
    found = "" if content is None and row.get("salt") is None else digest(content or {}, str(row.get("salt")))
    number, kept = row["_id"], row.get("hash")
    return Record(
        number=number if isinstance(number, int) else -1,
        entry=_entry(row),
        digest=str(row.get("digest")),
        found=found,
        previous=str(row.get("previous")),
        hash=str(kept),
        sound=kept == frame_hash(row),
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    """Read an entry as far as it can be read."""
    at = row.get("at")
    kind = Deed(row["kind"]) if row.get("kind") in set(Deed) else Deed.UNKNOWN
    bare = Entry(kind=kind, key=str(row.get("key")), at=at if isinstance(at, datetime) else now())
    try:
        spans = tuple(Span(first=first, last=last) for first, last in row.get("erases") or ())
        return replace(documents.decode(Entry, (row.get("content") or {}) | {"kind": kind, "key": bare.key, "at": bare.at}), erases=spans)
    except (TypeError, ValueError, KeyError, AttributeError):
        return bare
