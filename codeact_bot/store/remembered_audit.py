"""The part of MemoryStore that keeps the audit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codeact_bot.errors import QueryInvalid
from codeact_bot.redaction import Redactor
from codeact_bot.store import cells, chain, cursors, records, totals
from codeact_bot.store.documents import Document
from codeact_bot.store.remembered import RememberedTurn
from codeact_bot.types import By, Entry, Query, Receipt, Record, RecordPage, RunPage, Total, Trail


class RememberedAudit:
    """The chain, in a list of the documents that MongoStore would write, and the runs."""

    redact: Redactor

    def __init__(self) -> None:
        """Begin the chain."""
        self._records: list[Document] = []
        self._keys: set[str] = set()

    def _every(self) -> Iterable[RememberedTurn]:
        raise NotImplementedError

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add records to the end of the chain; an entry whose key is there already is left out."""
        for entry in map(self.redact.entry, entries):
            if entry.key not in self._keys:
                self._keys.add(entry.key)
                self._records.append(chain.seal(entry, self._end()))

    def _end(self) -> Receipt:
        return chain.end(self._records[-1]) if self._records else chain.GENESIS

    async def records(self, trail: Trail) -> RecordPage:
        """List records, newest first, at most 1,000. Raises QueryInvalid for a cursor that is none."""
        limit, last = records.bounded(trail.limit), cursors.before(trail.cursor) if trail.cursor else len(self._records) + 1
        behind = (chain.record(row) for row in reversed(self._records) if row["_id"] < last)
        found = [each for each in behind if _matches(each.entry, trail)]
        return RecordPage(records=tuple(found[:limit]), cursor=cursors.number(found[limit - 1].number) if len(found) > limit else "")

    async def chain(self, after: int, limit: int) -> Sequence[Record]:
        """The records after a number, oldest first."""
        return [chain.record(row) for row in self._records[after : after + limit]]

    async def receipt(self) -> Receipt | None:
        """The end of the chain; None before the first record."""
        return self._end() if self._records else None

    async def search(self, query: Query) -> RunPage:
        """List runs, newest first, at most 1,000. Raises QueryInvalid for a cursor that is none."""
        limit = records.bounded(query.limit)
        found = sorted((_place(each) for each in self._every() if each.matches(query) and not each.copied), key=lambda each: each[0], reverse=True)
        if query.cursor:
            last = cursors.place(query.cursor)
            found = [each for each in found if each[0] < last]
        return RunPage(runs=tuple(each.run() for _, each in found[:limit]), cursor=cursors.run(found[limit - 1][0]) if len(found) > limit else "")

    async def totals(self, query: Query, by: By) -> Sequence[Total]:
        """Add up the ended runs that a query finds. Raises QueryInvalid for words or a cost that too many runs fit."""
        found = [each.run() for each in self._every() if each.turn.outcome and each.matches(query) and not each.copied]
        if cells.filters_of(query) is None and len(found) > totals.SINGLY:
            raise QueryInvalid(totals.TOO_MANY)
        return totals.add(found, by)

    async def tally(self) -> int:
        """Keep no sums: what is remembered is added up each time."""
        return 0


def _place(turn: RememberedTurn) -> tuple[cursors.Place, RememberedTurn]:
    return (turn.turn.started, turn.number, turn.turn.id), turn


def _matches(entry: Entry, trail: Trail) -> bool:
    return all((
        trail.kind in (None, entry.kind),
        not trail.person or (entry.author is not None and entry.author.id == trail.person),
        trail.thread in (None, entry.thread),
        trail.turn in ("", entry.turn),
        trail.subject in ("", entry.subject),
        trail.since is None or entry.at >= trail.since,
        trail.until is None or entry.at < trail.until,
    ))
