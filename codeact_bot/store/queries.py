"""The indexes, filters and update pipelines of MongoStore: plain documents, no driver."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from codeact_bot.store import documents, records
from codeact_bot.store.documents import Document
from codeact_bot.types import Glimpse, Incoming, Lease, Query, Step, ThreadId, step_mark

Keys = Sequence[tuple[str, int]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OPEN, CLOSED = "/open", "/closed"
GLIMPSE = "open.glimpse"
"""Where an open turn has what it shows of the step under way; whatever changes that step removes it."""
NEWEST: Keys = (("started", -1), ("number", -1), ("_id", -1))

SEARCHED = ("thread", "people", "errors", "words", "outcome.ending", "fact_platform", "fact_channel", "fact_model")
"""Fields of a turn by which it is searched for, newest first."""
FACTS: Keys = (
    ("state", 1),
    ("started", 1),
    *((f"fact_{name}", 1) for name in ("ending", "platform", "channel", "person", "model", "day", "failures")),
    *((f"fact_{name}", 1) for name in ("steps", "repairs", "seconds", "tokens", "cost")),
)
"""All that totals add up, so that they read this index alone."""
KEPT_FACTS = ("fact_platform", "fact_channel")
"""What a fork's copy of a turn keeps: it is no run of its own, and costs nothing again."""
INDEXES: Mapping[str, Sequence[tuple[Keys, bool]]] = {
    "threads": (
        ((("waiting", 1), ("_id", 1)), False),
        ((("hold", 1),), False),
        ((("worded", 1),), False),
        ((("pending.files.digest", 1),), False),
        *(((*field, ("updated", -1), ("_id", 1)), False) for field in ((), (("people", 1),), (("permitted", 1),), (("words", 1),))),
    ),
    "shares": (((("thread", 1),), False),),
    "tokens": (((("name", 1),), True),),
    "sign_ins": (((("until", 1),), False), ((("person.id", 1),), False)),
    "owed": (((("until", 1),), False),),
    "schedules": (((("next", 1),), False), ((("order.channel", 1),), False), ((("order.author.id", 1),), False)),
    "turns": (
        ((("thread", 1), ("state", 1), ("number", -1)), False),
        *((((field, 1), *NEWEST), False) for field in SEARCHED),
        ((*NEWEST, ("fact_cost", -1)), False),
        ((("incoming.files.digest", 1),), False),
        ((("fact_cost", -1),), False),
        (FACTS, False),
    ),
    "steps": (((("turn", 1), ("index", 1)), False), *((((f"execution.{name}.digest", 1),), False) for name in ("files", "images"))),
    "audit": (
        ((("key", 1),), True),
        ((("at", 1),), False),
        *((((field, 1), ("_id", -1)), False) for field in ("kind", "content.author.id", "content.thread", "content.turn")),
    ),
    "tallies": (((("week", 1),), False),),
    "files.files": (((("filename", 1),), True),),
    "files.chunks": (((("files_id", 1), ("n", 1)), True),),
    "snapshots.files": (((("filename", 1),), True),),
    "snapshots.chunks": (((("files_id", 1), ("n", 1)), True),),
}
"""Per collection: the keys of each index, and whether it is unique."""


QUEUED = {"$regexMatch": {"input": "$$this.k", "regex": "^pending"}}
CHANGED = {"$objectToArray": {"$ifNull": ["$updateDescription.updatedFields", {}]}}
ARRIVALS: Sequence[Document] = (
    {"$match": {"$expr": {"$or": [{"$eq": ["$operationType", "insert"]}, {"$anyElementTrue": {"$map": {"input": CHANGED, "in": QUEUED}}}]}}},
    {"$project": {"_id": 1}},
)
"""Of the changes of threads, those that change the queue."""


FREE = {"$not": [{"$gt": ["$lease.until", "$$NOW"]}]}
"""No live lease holds the thread."""


def literal(value: Any) -> Document:
    """Protect a value inside a pipeline: a text that begins with a dollar sign is no field's path."""
    return {"$literal": value}


def literals(fields: Document) -> Document:
    """Protect the values of several fields inside a pipeline."""
    return {name: literal(value) for name, value in fields.items()}


def held(lease: Lease) -> Document:
    """Match the lease's thread as long as the lease is valid by the server's clock."""
    alive = {"$gt": ["$lease.until", "$$NOW"]}
    return {"_id": lease.thread, "lease.token": lease.token, "lease.owner": lease.owner, "$expr": alive}


def writing(lease: Lease, turn_id: str) -> Document:
    """Match the lease's thread as long as it is valid and this turn is open."""
    return held(lease) | {"open.turn": turn_id, "open.outcome": None}


def begin(turn_id: str, token: int) -> list[Document]:
    """Open a turn, unless it is open already."""
    same = {"$eq": ["$open.turn", turn_id]}
    number = {"$add": [{"$ifNull": ["$opened", 0]}, 1]}
    fresh = {"turn": turn_id, "number": number, "token": token, "reply": "", "steps": {}}
    opened = {"$set": {"open": {"$cond": [same, "$open", fresh]}, "opened": {"$cond": [same, "$opened", number]}}}
    return [opened, {"$unset": GLIMPSE}]


def push(incoming: Incoming, *, sure: bool) -> list[Document]:
    """Queue a message in its thread, new or not, unless it was seen before.

    Where the thread remembers as many messages as it can, it takes only one that is surely new.
    """
    name, author, person = (literal(documents.encode(part)) for part in (incoming.id, incoming.author.name, incoming.author.id))
    entry = {"$mergeObjects": [literal(documents.document(incoming)), {"queued": "$$NOW"}]}
    pending, seen, names, people, words = (
        {"$ifNull": [f"${field}", []]} for field in ("pending", "seen", "participants", "people", "words")
    )
    new = literal([documents.encode(word) for word in records.listed_words(incoming)])
    full = {"$and": [not sure, {"$gte": [{"$size": seen}, records.SEEN]}]}
    known = {"$or": [{"$in": [name, seen]}, {"$in": [name, {"$ifNull": ["$pending.id", []]}]}, full]}
    changed = {
        "pending": {"$concatArrays": [pending, [entry]]},
        "seen": {"$slice": [{"$concatArrays": [seen, [name]]}, -records.SEEN]},
        "waiting": {"$ifNull": ["$waiting", "$$NOW"]},
        "title": {"$ifNull": ["$title", literal(documents.encode(records.title(incoming)))]},
        "participants": _with(names, author),
        "people": _with(people, person),
        "words": {"$slice": [{"$concatArrays": [words, {"$setDifference": [new, words]}]}, records.LISTED_WORDS]},
        "worded": {"$ifNull": ["$worded", {"$eq": [{"$type": "$created"}, "missing"]}]},
        "created": {"$ifNull": ["$created", "$$NOW"]},
        "updated": "$$NOW",
    }
    return [{"$replaceWith": {"$cond": [known, "$$ROOT", {"$mergeObjects": ["$$ROOT", changed]}]}}]


def word(words: Sequence[str]) -> list[Document]:
    """Let a thread be found by words, besides those by which it is found already; it has all then."""
    old, there = literal([documents.encode(each) for each in words]), {"$ifNull": ["$words", []]}
    return [{"$set": {"words": {"$slice": [{"$concatArrays": [old, {"$setDifference": [there, old]}]}, records.LISTED_WORDS]}, "worded": True}}]


def _with(array: Document, value: Document) -> Document:
    return {"$cond": [{"$in": [value, array]}, array, {"$concatArrays": [array, [value]]}]}


def waiting(prefixes: Sequence[str]) -> Document:
    """Match the threads that have a message to answer and that no live lease holds."""
    begins = "^(?:" + "|".join(map(re.escape, prefixes)) + ")"
    return {"waiting": {"$gt": EPOCH}, "_id": {"$regex": begins}, "$expr": FREE}


def idle(thread: ThreadId, mark: str) -> Document:
    """Match a thread in which this step ran last, and in which nothing is to be done."""
    return {"_id": thread, "ran": mark or {"$in": [None, ""]}, "waiting": None, "$expr": FREE}


def lend(owner: str, seconds: float) -> list[Document]:
    """Give the thread to a new owner under the next token."""
    token = {"$add": [{"$ifNull": ["$lease.token", 0]}, 1]}
    return [{"$set": {"lease.owner": literal(owner), "lease.token": token, "lease.since": "$$NOW", "lease.until": _after(seconds)}}]


def extend(seconds: float) -> list[Document]:
    """Move the lease's end."""
    return [{"$set": {"lease.until": _after(seconds)}}]


def _after(seconds: float) -> Document:
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def stop() -> list[Document]:
    """Name the message at the head of the queue as the one to give up."""
    return [{"$set": {"stop": {"$ifNull": [{"$first": "$pending.id"}, "$$REMOVE"]}}}]


def pop(incoming: Incoming) -> list[Document]:
    """Take the answered message off the queue and close the turn."""
    others = {"$filter": {"input": "$pending", "cond": {"$ne": ["$$this.id", literal(documents.encode(incoming.id))]}}}
    ending = {"$ifNull": ["$open.outcome.ending", "$$REMOVE"]}
    first = {"$set": {"pending": others, "open": "$$REMOVE", "ending": ending, "updated": "$$NOW"}}
    return [first, {"$set": {"waiting": {"$ifNull": [{"$first": "$pending.queued"}, "$$REMOVE"]}}}]


def withdraw(incoming_id: str) -> list[Document]:
    """Take a message off the queue that nobody has begun to answer."""
    others = {"$filter": {"input": "$pending", "cond": {"$ne": ["$$this.id", literal(documents.encode(incoming_id))]}}}
    return [{"$set": {"pending": others}}, {"$set": {"waiting": {"$ifNull": [{"$first": "$pending.queued"}, "$$REMOVE"]}}}]


def deliver(owner: str, seconds: float) -> list[Document]:
    """Leave the delivery of an answer to one worker for a while."""
    return [{"$set": {"owner": literal(owner), "until": _after(seconds)}}]


def show(turn_id: str, step: Step, version: str) -> list[Document]:
    """Make a version of a step the one that counts; an open one never takes the place of a closed one."""
    field, gone = f"open.steps.s{step.index}", {GLIMPSE: "$$REMOVE"}
    closed = {"$regexMatch": {"input": {"$ifNull": [f"${field}", ""]}, "regex": f"{CLOSED}$"}}
    if records.is_open(step):
        return [{"$set": gone | {field: {"$cond": [closed, f"${field}", version]}}}]
    return [{"$set": gone | {field: version} | ({"ran": step_mark(turn_id, step.index)} if step.ran else {})}]


def showing(lease: Lease, turn_id: str, glimpse: Glimpse) -> Document:
    """Match the lease's thread as long as it is valid and the turn's step is still where a glimpse of it was caught."""
    return writing(lease, turn_id) | {f"open.steps.s{glimpse.step}": f"{turn_id}/{glimpse.step}/{lease.token}{OPEN}" if glimpse.running else None}


def version(turn_id: str, token: int, step: Step) -> str:
    """Return the `_id` of a step as this lease's holder writes it; no other worker writes under it."""
    return f"{turn_id}/{step.index}/{token}{OPEN if records.is_open(step) else CLOSED}"


def found(query: Query) -> Document:
    """Match the turns of a query."""
    match: Document = {"state": {"$ne": "undone"}}
    if query.thread is not None:
        match["thread"] = query.thread
    elif query.prefix:
        match["thread"] = {"$regex": f"^{re.escape(query.prefix)}"}
    if query.person:
        match["people"] = documents.encode(records.fold(query.person))
    if query.ending is not None:
        match["outcome.ending"] = query.ending.value
    if query.error:
        match["errors"] = documents.encode(records.fold(query.error))
    if words := records.wanted_words(query):
        match["words"] = {"$all": words}
    return match | _facts(query) | _between(query)


def ran(query: Query) -> Document:
    """Match the turns of a query that ran where they are: those that a fork took along cost nothing again."""
    return found(query) | {"fact_cost": {"$gte": max(query.min_cost, 0.0)}}


def counted(query: Query) -> Document:
    """Match the runs of a query that have ended."""
    return ran(query) | {"state": "ended"}


def counted_by_facts(query: Query) -> Document | None:
    """Match the same, from `FACTS` alone; None where it does not tell."""
    if query.thread or query.prefix or query.person or query.error or query.text:
        return None
    ending = {"fact_ending": query.ending.value} if query.ending else {}
    return counted(replace(query, ending=None)) | ending


def _facts(query: Query) -> Document:
    given = {"fact_platform": query.platform, "fact_channel": query.channel, "fact_model": query.model}
    match: Document = {name: documents.encode(value) for name, value in given.items() if value}
    return match | ({"fact_cost": {"$gte": query.min_cost}} if query.min_cost > 0 else {})


def _between(query: Query) -> Document:
    bounds = {"$gte": query.since, "$lt": query.until}
    given = {name: at for name, at in bounds.items() if at is not None}
    return {"started": given} if given else {}
