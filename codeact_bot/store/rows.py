"""The documents of `threads` and `turns`, written and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from codeact_bot.store import documents, records
from codeact_bot.store.documents import Document
from codeact_bot.types import Author, Ending, Incoming, Outcome, Part, Run, Snapshot, Step, Thread, ThreadId, Turn, now, step_mark

OUTCOME_BYTES = 1024 * 1024
"""Bytes of the longest answer: while a turn ends, its thread's document holds it."""
FACT = "fact_"
"""How the names of a turn's facts begin."""
VIEW = {"title": 1, "participants": 1, "people": 1, "waiting": 1, "ending": 1, "created": 1, "updated": 1, "opened": 1, "permitted": 1, "hold": 1}
"""The fields of a thread that a list of conversations shows."""


def opened(turn: Turn, number: int) -> Document:
    """Return the document of a turn that begins; `number` counts the thread's turns."""
    row: Document = {"_id": turn.id, "thread": turn.incoming.thread, "number": number, "state": "open"}
    row |= {"incoming": documents.document(turn.incoming), "started": turn.started}
    return row | _card(records.card(turn.incoming))


def ending(outcome: Outcome) -> Document:
    """Return the fields that end an open turn."""
    row = documents.document(outcome)
    return {"open.outcome": row | {"text": documents.shorten(row["text"], OUTCOME_BYTES)}, "open.ended": now()}


def ended(incoming: Incoming, started: datetime, opened: Document, steps: Sequence[Step]) -> Document:
    """Return the fields of a turn that change when it has ended."""
    outcome = documents.decode(Outcome, opened["outcome"])
    row = {"state": "ended", "outcome": opened["outcome"], "ended": opened["ended"], "reply": opened["reply"]}
    card = records.card(incoming, steps, outcome, started, (opened["ended"] - started).total_seconds())
    ran = [step_mark(opened["turn"], step.index) for step in steps if step.ran]
    return row | {"steps": versions(opened), "ran": ran[-1] if ran else ""} | _card(card)


def _card(card: records.Card) -> Document:
    """Return the fields of a turn that searches and totals read; facts lie side by side, since an index answers faster for such fields."""
    row = documents.document(card)
    return {FACT + name: value for name, value in row.pop("facts").items()} | row


def versions(opened: Document) -> list[str]:
    """Return the `_id`s of an open turn's steps."""
    return list(opened["steps"].values())


def turn(row: Document, opened: Document | None, steps: Mapping[str, Sequence[Step]]) -> Turn:
    """Make a turn from its document, what its thread holds of it while it is open, and its steps."""
    reply = opened["reply"] if opened else row.get("reply", "")
    found = documents.decode(Turn, {name: value for name, value in row.items() if name != "steps"} | {"id": row["_id"], "reply": reply})
    return replace(found, steps=tuple(steps.get(row["_id"], ())))


def run(row: Document) -> Run:
    """Make what lists of runs show from a turn's document."""
    given = {name.removeprefix(FACT): value for name, value in row.items() if name.startswith(FACT)}
    facts = documents.decode(records.Facts, {"platform": "", "channel": "", "person": ""} | given)
    outcome, incoming = row.get("outcome"), row["incoming"]
    return run_of(
        turn=row["_id"],
        thread=ThreadId(row["thread"]),
        author=documents.decode(Author, incoming["author"]),
        question=incoming["text"],
        started=row["started"],
        ended=row.get("ended"),
        ending=Ending(outcome["ending"]) if outcome else None,
        facts=facts,
    )


def run_of(*, facts: records.Facts, **fields: Any) -> Run:
    """Make what lists of runs show from a turn's fields and what it was summed up to."""
    summed = {name: getattr(facts, name) for name in ("channel", "model", "steps", "repairs", "seconds", "tokens", "cost")}
    return Run(errors=tuple(facts.failures.splitlines()), **summed, **fields)


def thread(row: Document, turns: int) -> Thread:
    """Make a thread from its document and the number of its ended turns."""
    return documents.decode(Thread, row | {"id": row["_id"], "turns": turns, "running": bool(row.get("waiting"))})


def manifest(snapshot: Snapshot) -> Document:
    """Return what names a state: its parts' digests, and what it holds."""
    parts = [{"digest": part.digest, "size": part.size} for part in snapshot.parts]
    names, dropped = ([documents.encode(name) for name in names] for names in (snapshot.names, snapshot.dropped))
    return {"parts": parts, "names": names, "dropped": dropped, "mark": snapshot.mark}


def parts(manifest: object) -> Sequence[Part]:
    """Return the parts that a state is made of, without their bytes; none for one of an older version."""
    found = snapshot(manifest)
    return found.parts if found else ()


def snapshot(manifest: object) -> Snapshot | None:
    """Make a snapshot, its bytes left out, from what names it; None where that is nothing, or of an older version."""
    return documents.decode(Snapshot, manifest) if isinstance(manifest, dict) else None
