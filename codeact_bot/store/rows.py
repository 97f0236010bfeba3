"""The documents of `threads` and `turns`, written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from codeact_bot.store import documents, records
from codeact_bot.store.documents import Document
from codeact_bot.types import Incoming, Outcome, Snapshot, Step, Thread, Turn, now

VIEW = {"title": 1, "participants": 1, "turns": 1, "created": 1, "updated": 1}
"""The fields of a thread that a list of conversations shows."""


def opened(turn: Turn, number: int, token: int) -> Document:
    """Return the document of a turn that begins; `number` counts the thread's turns."""
    row: Document = {"_id": turn.id, "thread": turn.incoming.thread, "number": number, "state": "open", "token": token}
    row |= {"incoming": documents.document(turn.incoming), "reply": turn.reply, "started": turn.started}
    return row | documents.document(records.card(turn.incoming))


def ended(incoming: Incoming, steps: Sequence[Step], outcome: Outcome) -> Document:
    """Return the fields that change when a turn ends."""
    row = {"state": "ended", "outcome": documents.fit(documents.document(outcome)), "ended": now()}
    return row | documents.document(records.card(incoming, steps, outcome))


def turn(row: Document, steps: Mapping[str, Sequence[Step]]) -> Turn:
    """Make a turn from its document and its steps."""
    return replace(documents.decode(Turn, row | {"id": row["_id"]}), steps=tuple(steps.get(row["_id"], ())))


def thread(row: Document) -> Thread:
    """Make a thread from its document."""
    return documents.decode(Thread, row | {"id": row["_id"]})


def pack(snapshot: Snapshot) -> bytes:
    """Put a snapshot with its names into bytes: a line of JSON, then the state."""
    return json.dumps({"names": snapshot.names, "dropped": snapshot.dropped}).encode() + b"\n" + snapshot.data


def unpack(data: bytes) -> Snapshot:
    """Make a snapshot from its bytes."""
    head, _, state = data.partition(b"\n")
    names = json.loads(head)
    return Snapshot(data=state, names=tuple(names["names"]), dropped=tuple(names["dropped"]))
