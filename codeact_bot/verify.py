"""Verifying the chain of the audit: what was changed, removed or inserted since it was written.

Without a receipt kept elsewhere, somebody who may write into the whole database can compute a new chain; with one, they cannot.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field

from codeact_bot.ports import Ledger
from codeact_bot.types import Deed, Receipt, Record, Span, Verdict

PAGE = 1_000
"""Records that are read at once."""
FAULTS = 100
"""Faults that are named at most."""


@dataclass(slots=True)
class _Walk:
    """A walk along the chain."""

    receipts: dict[int, str]
    """Hashes that records must have, by their numbers."""
    last: Record | None = None
    count: int = 0
    gone: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    before: str = "0" * 64
    """The hash that the next record has to follow, and where a record was inserted, that of the one before."""

    def step(self, record: Record) -> None:
        """Look at the next record."""
        expected = self.last.number + 1 if self.last else 1
        if record.number < expected:
            self.faults.append(f"A record with the key {record.entry.key} was inserted outside the numbers.")
            return
        if record.number > expected:
            self.faults.append(f"{_records(expected, record.number - 1)} removed.")
        elif record.previous != (self.last.hash if self.last else self.before):
            self._broken(record)
        self._whole(record)
        self.count += 1
        self.before, self.last = (self.last.hash if self.last else self.before), record

    def _broken(self, record: Record) -> None:
        """Say what a record does that does not follow the one before it."""
        if self.last and record.previous == self.before:
            self.faults.append(f"Record {self.last.number} ({_about(self.last)}) was inserted.")
        elif record.sound and self.last and self.last.sound:
            self.faults.append(f"Record {record.number} does not follow record {self.last.number}: one of them was put in the place of another.")

    def _whole(self, record: Record) -> None:
        """Look at a record by itself."""
        if not record.sound:
            self.faults.append(f"Record {record.number} ({_about(record)}) was changed.")
        elif record.found and record.found != record.digest:
            self.faults.append(f"The content of record {record.number} ({_about(record)}) was changed.")
        elif not record.found:
            self.gone.append(record.number)
        if record.sound and record.entry.kind is Deed.ERASED:
            self.spans += record.entry.erases
        if self.receipts.get(record.number, record.hash) != record.hash:
            self.faults.append(f"Record {record.number} is not the one that the receipt is for: the chain was written anew.")

    def over(self, kept: Receipt | None) -> None:
        """Compare the end with what is kept apart from the chain, and with the receipts."""
        number = self.last.number if self.last else 0
        for wanted in sorted({*self.receipts, kept.number if kept else 0}):
            if wanted > number:
                self.faults.append(f"{_records(number + 1, wanted)} removed from the end.")
                return
        if kept is None and number:
            self.faults.append("The end of the chain, which is kept apart from it, was removed.")
        elif kept and kept.number < number:
            self.faults.append(f"{_records(kept.number + 1, number)} added behind the end by somebody else than this program.")
        elif kept and self.last and kept.hash != self.last.hash:
            self.faults.append(f"Record {number} is not the one that the chain ended with.")

    def unexplained(self) -> Iterable[str]:
        """Name the records whose contents are gone though no record says that they were removed."""
        for number in self.gone:
            if not any(span.first <= number <= span.last for span in self.spans):
                yield f"The content of record {number} was removed, and no record says so."


async def verify(ledger: Ledger, receipt: Receipt | None = None) -> Verdict:
    """Walk along the whole chain; `receipt` is the end of an earlier verification."""
    return [found async for found in walks(ledger, receipt) if isinstance(found, Verdict)][-1]


async def walks(ledger: Ledger, receipt: Receipt | None = None) -> AsyncGenerator[int | Verdict]:
    """Walk along the whole chain, page by page: how many records that were so far, and in the end what was found."""
    walk = _Walk(receipts={receipt.number: receipt.hash} if receipt else {})
    kept, before, more = await ledger.receipt(), None, True
    while more or kept != before:  # it grows meanwhile
        more, before = await _walked(ledger, walk), kept
        yield walk.count
        kept = await ledger.receipt()
    walk.over(kept)
    faults = (*walk.faults, *walk.unexplained())
    end = Receipt(number=walk.last.number, hash=walk.last.hash) if walk.last else None
    yield Verdict(records=walk.count, erased=len(walk.gone), end=end, faults=faults[:FAULTS])


async def _walked(ledger: Ledger, walk: _Walk) -> bool:
    """Walk on along a page of records; False where there are no more."""
    after = walk.last.number if walk.last else 0
    for record in await ledger.chain(after, PAGE):
        walk.step(record)
    return walk.last is not None and walk.last.number > after


def _records(first: int, last: int) -> str:
    return f"Record {first} was" if first == last else f"Records {first} to {last} were"


def _about(record: Record) -> str:
    return f"{record.entry.kind}, {record.entry.at:%Y-%m-%d %H:%M:%S} UTC"
