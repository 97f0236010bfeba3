"""Types to MongoDB documents and back; whatever a sandbox printed can be written, and no document grows too large."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import bson

from codeact_bot.types import Answer, File, Malformed, Proposal, RunCode

T = TypeVar("T")
Document = dict[str, Any]
Reader = Callable[[Any], Any]
"""What makes a field's value from the one in a document."""

LARGEST = 12 * 1024 * 1024
"""Bytes of one document; MongoDB takes 16 MiB, the command around it included."""
KINDS: Mapping[str, type] = {"run_code": RunCode, "proposal": Proposal, "answer": Answer, "malformed": Malformed}
"""How a document tells the actions apart."""
NAMES = {cls: name for name, cls in KINDS.items()}
INT64 = 2**63 - 1
"""Largest integer of BSON; larger ones become this one."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def encode(value: Any) -> Any:
    """Turn a value of our types into one for BSON: lone surrogates become U+FFFD, files lose their bytes."""
    if is_dataclass(value):
        return document(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-INT64 - 1, min(INT64, value))
    if isinstance(value, tuple | list):
        return [encode(each) for each in value]
    return value


def document(value: Any) -> Document:
    """Return the document of a dataclass."""
    skipped = {"data"} if isinstance(value, File) else set()
    row = {each.name: encode(getattr(value, each.name)) for each in fields(value) if each.name not in skipped}
    return {"kind": NAMES[type(value)], **row} if type(value) in NAMES else row


def decode(cls: type[T], document: Mapping[str, Any]) -> T:
    """Make a dataclass from its document; fields that it lacks take their defaults, unknown ones are ignored."""
    readers = _readers(cast("Any", cls))
    return cls(**{name: None if document[name] is None else readers[name](document[name]) for name in readers if name in document})


@cache
def _readers(cls: type[Any]) -> dict[str, Reader]:
    """How a dataclass' fields are read: found out once, since lists read thousands of documents."""
    return {name: _reader(hint) for name, hint in get_type_hints(cls).items()}


def _reader(hint: Any) -> Reader:
    if get_origin(hint) is UnionType:
        return _union_reader(get_args(hint))
    if get_origin(hint) is tuple:
        read = _reader(get_args(hint)[0])
        return lambda values: tuple([None if each is None else read(each) for each in values])
    if is_dataclass(hint):
        return partial(decode, cast("type[Any]", hint))
    return _same if hint in (datetime, bytes) else cast("Reader", hint)


def _union_reader(choices: Sequence[Any]) -> Reader:
    read = _reader(next(each for each in choices if each is not NoneType))
    kinds = {name: cls for name, cls in KINDS.items() if cls in choices}
    if not kinds:
        return read
    return lambda value: decode(kinds[value["kind"]], value) if value.get("kind") in kinds else read(value)


def _same(value: Any) -> Any:
    return value


def size(document: Document) -> int:
    """Return the bytes that a document takes."""
    return len(bson.encode(document))


def fit(document: Document) -> Document:
    """Return the document, its tables, longest texts and lists cut until it has at most `LARGEST` bytes, and saying so."""
    whole = size(document)
    if whole <= LARGEST:
        return document
    run = document.get("execution") or {}
    dropped, small = len(run.get("tables", ())), document
    if dropped:
        small = document | {"execution": run | {"tables": []}}
    for limit in (1024 * 1024, 64 * 1024, 4 * 1024):
        if size(small) <= LARGEST:
            break
        small = _shortened(small, limit)
    return _noted(small, whole - size(small), dropped)


def _noted(document: Document, lost: int, tables: int) -> Document:
    run = document.get("execution")
    if run is None:
        return document
    what = f"{lost:,} bytes" + (f", {tables} tables among them," if tables else "")
    return document | {"execution": run | {"notes": [*run["notes"], f"{what} were left out of the record of this step: it was too large."]}}


def _shortened(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return shorten(value, limit)
    if isinstance(value, list):
        return [_shortened(each, limit) for each in value[: limit // 64]]
    if isinstance(value, dict):
        return {name: _shortened(each, limit) for name, each in value.items()}
    return value


def shorten(text: str, limit: int) -> str:
    """Return a text of about `limit` bytes: its head and its tail, and between them how much was cut."""
    data = text.encode()
    if len(data) <= limit:
        return text
    head, tail = data[: limit // 2].decode(errors="ignore"), data[-(limit // 2) :].decode(errors="ignore")
    return f"{head}\n… {len(data) - limit:,} bytes left out of the record …\n{tail}"
