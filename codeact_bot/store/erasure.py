"""What every store does in the same way when content is removed: the record that says so, and the updates of a thread."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from codeact_bot.store import documents
from codeact_bot.store.documents import Document
from codeact_bot.types import Deed, Entry, Span

EXPIRED = "It was older than the settings keep it."
ASKED_FOR = "A person asked for it."
OWNER = "erasure"
"""How the owners of leases begin that are held while content is removed."""
RECORDS = 1_000
"""Records whose contents one record says were removed."""
PERSONAL = (
    Deed.REFUSED,
    Deed.VIEWED,
    Deed.EXPORTED,
    Deed.SHARED,
    Deed.PERMITTED,
    Deed.SESSION,
    Deed.FORKED,
    Deed.SCHEDULE,
    Deed.STOPPED,
)
"""What is recorded of people outside of turns."""


def entry(numbers: Sequence[int], reason: str) -> Entry:
    """Record that the contents of some records are removed."""
    return Entry(kind=Deed.ERASED, text=reason, erases=tuple(spans(numbers)))


def spans(numbers: Sequence[int]) -> Iterator[Span]:
    """Return numbers in ascending order as spans."""
    first = last = None
    for number in numbers:
        if first is None or last is None or number != last + 1:
            if first is not None and last is not None:
                yield Span(first=first, last=last)
            first = number
        last = number
    if first is not None and last is not None:
        yield Span(first=first, last=last)


def batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Return numbers in pieces."""
    for start in range(0, len(numbers), RECORDS):
        yield numbers[start : start + RECORDS]


def beside(platforms: Collection[str], threads: Collection[str]) -> Document:
    """Match the records that belong neither to some platforms nor to some threads."""
    others = [{"content.thread": {"$not": {"$regex": f"^{platform}:"}}} for platform in platforms]
    return {"$and": [*others, {"content.thread": {"$nin": list(threads)}}]}


def without(messages: Sequence[str], turns: Sequence[str]) -> list[Document]:
    """Take messages off a thread's queue, and the open turn where it is one of these."""
    ids = [documents.encode(name) for name in messages]
    pending = {"$filter": {"input": {"$ifNull": ["$pending", []]}, "cond": {"$not": [{"$in": ["$$this.id", {"$literal": ids}]}]}}}
    opened = {"$cond": [{"$in": ["$open.turn", {"$literal": list(turns)}]}, "$$REMOVE", {"$ifNull": ["$open", "$$REMOVE"]}]}
    first = {"$set": {"pending": pending, "open": opened}}
    return [first, {"$set": {"waiting": {"$ifNull": [{"$first": "$pending.queued"}, "$$REMOVE"]}}}]
