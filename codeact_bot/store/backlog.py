"""How MongoDB counts what waits and what runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codeact_bot.store.documents import Document
from codeact_bot.store.queries import EPOCH
from codeact_bot.types import Backlog


def counted(prefixes: Sequence[str]) -> list[Document]:
    """Return the pipeline over `threads` that makes one document of all that wait, by the index on `waiting`."""
    begins = "^(?:" + "|".join(map(re.escape, prefixes)) + ")"
    taken = {"$cond": [{"$gt": ["$lease.until", "$$NOW"]}, 1, 0]}
    first = {"$arrayElemAt": ["$pending.queued", "$running"]}
    return [
        {"$match": {"waiting": {"$gt": EPOCH}, "_id": {"$regex": begins}}},
        {"$project": {"pending.queued": 1, "lease.since": 1, "running": taken}},
        {
            "$project": {
                "running": 1,
                "waiting": {"$subtract": [{"$size": "$pending"}, "$running"]},
                "waited": {"$subtract": ["$$NOW", first]},
                "held": {"$cond": ["$running", {"$subtract": ["$$NOW", "$lease.since"]}, None]},
            }
        },
        {
            "$group": {
                "_id": None,
                "waiting": {"$sum": "$waiting"},
                "waited": {"$max": "$waited"},
                "running": {"$sum": "$running"},
                "held": {"$max": "$held"},
            }
        },
    ]


def backlog(counted: Document, owed: int) -> Backlog:
    """Make a backlog of that document, empty where nothing waits, and the number of answers owed."""
    return Backlog(
        waiting=counted.get("waiting", 0),
        waiting_seconds=(counted.get("waited") or 0) / 1000,
        running=counted.get("running", 0),
        running_seconds=(counted.get("held") or 0) / 1000,
        owed=owed,
    )
