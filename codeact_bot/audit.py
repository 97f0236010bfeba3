"""The audit: what is recorded of a turn, the writer beside the turns, and the verification of the chain."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType

from codeact_bot.errors import CodeactError, StoreUnavailable
from codeact_bot.ports import Ledger
from codeact_bot.types import Approval, Deed, Entry, Execution, Outcome, RunCode, Step, Turn, now

log = logging.getLogger(__name__)

LINGER = 0.05
"""Seconds in which records gather before they are written together."""
RETRY_SECONDS = 0.5
"""How soon a write is tried again that the database did not take."""
WRITE_SECONDS = 10.0
"""How long a turn waits for its records at most; then it is left to whoever claims it next, who records it again."""
BATCH = 500
"""Records of one write."""
RESULT = 2_000
"""Characters of the beginning and of the end of a result; the digest is that of all of it."""


def asked(turn: Turn) -> Entry:
    """Record a question."""
    incoming = turn.incoming
    return Entry(
        kind=Deed.ASKED,
        key=f"{turn.id}/asked",
        at=incoming.at,
        author=incoming.author,
        thread=incoming.thread,
        turn=turn.id,
        text=incoming.text,
        files=incoming.files,
        subject=incoming.place,
    )


def answered(turn: Turn, said: Approval) -> Entry:
    """Record what somebody said to code that a turn wanted to run."""
    return Entry(
        kind=Deed.APPROVED,
        key=f"{turn.id}/approved",
        at=turn.incoming.at,
        author=turn.incoming.author,
        thread=turn.incoming.thread,
        turn=turn.id,
        text=f"The code with the SHA-256 {said.digest}",
        subject=said.turn,
        status="approved" if said.yes else "declined",
        digest=said.digest,
    )


def begun(turn: Turn, step: Step) -> Sequence[Entry]:
    """Record the model's request and, where it wants to run code, that it begins."""
    said, entry = step.completion, _of(turn, step)
    request = entry(kind=Deed.REQUESTED, key=f"{turn.id}/{step.index}/requested", at=step.at, status=type(step.action).__name__.lower())
    entries = [replace(request, model=said.model, usage=said.usage, seconds=said.seconds)]
    if isinstance(step.action, RunCode):
        entries.append(entry(kind=Deed.CODE, key=f"{turn.id}/{step.index}/code", at=step.at, text=step.action.code))
    return entries


def came_to(turn: Turn, step: Step, run: Execution) -> Entry:
    """Record what code came to."""
    whole = run.output + (run.value or "") + (run.error.message if run.error else "")
    return _of(turn, step)(
        kind=Deed.RESULT,
        key=f"{turn.id}/{step.index}/result",
        text=ends(whole),
        status=str(run.status),
        error=run.error.type if run.error else "",
        seconds=run.seconds,
        digest=hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest(),
        files=(*run.files, *run.images),
    )


def _of(turn: Turn, step: Step) -> partial[Entry]:
    return partial(Entry, author=turn.incoming.author, thread=turn.incoming.thread, turn=turn.id, step=step.index)


def step_entries(turn: Turn, step: Step) -> Sequence[Entry]:
    """Record a step as far as it has come."""
    return [*begun(turn, step), *([] if step.execution is None else [came_to(turn, step, step.execution)])]


def news(turn: Turn, step: Step) -> Sequence[Entry]:
    """Record what is new with a step that was just saved."""
    return begun(turn, step) if step.execution is None else [came_to(turn, step, step.execution)]


def ends(text: str) -> str:
    """Return a text's beginning and end, and between them how much is left out."""
    if len(text) <= 2 * RESULT:
        return text
    return f"{text[:RESULT]}\n… {len(text) - 2 * RESULT:,} characters …\n{text[-RESULT:]}"


def ended(turn: Turn, outcome: Outcome) -> Entry:
    """Record a turn's end."""
    return Entry(
        kind=Deed.ENDED,
        key=f"{turn.id}/ended",
        at=turn.ended or now(),
        author=turn.incoming.author,
        thread=turn.incoming.thread,
        turn=turn.id,
        text=outcome.text,
        status=str(outcome.ending),
        subject=outcome.limit,
        usage=turn.usage,
        seconds=((turn.ended or now()) - turn.started).total_seconds(),
    )


def turn_entries(turn: Turn) -> Sequence[Entry]:
    """Record all that a turn has come to so far; keys are derived from turn and step, so that doing so again adds what is missing alone."""
    said = [answered(turn, turn.incoming.approval)] if turn.incoming.approval else []
    entries = [asked(turn), *said, *(entry for step in turn.steps for entry in step_entries(turn, step))]
    return [*entries, ended(turn, turn.outcome)] if turn.outcome else entries


class Recorder:
    """Writes records beside the turns, many at once; `async with` writes the last ones before it ends."""

    def __init__(self, ledger: Ledger) -> None:
        """Write into a ledger."""
        self._ledger = ledger
        self._waiting: list[Entry] = []
        self._taken = self._done = 0
        self._news, self._urgent, self._progress = asyncio.Event(), asyncio.Event(), asyncio.Condition()

    def note(self, *entries: Entry) -> None:
        """Take entries; they are written soon, or when the database is back."""
        self._waiting += entries
        self._taken += len(entries)
        if entries:
            self._news.set()

    async def written(self) -> None:
        """Wait until all that was noted so far is durable. Raises StoreUnavailable where that takes too long."""
        until = self._taken
        try:
            async with asyncio.timeout(WRITE_SECONDS), self._progress:
                while self._done < until:
                    self._urgent.set()
                    await self._progress.wait()
        except TimeoutError:
            raise StoreUnavailable("The audit cannot be written, since the database does not answer. It is tried again.") from None

    async def _work(self) -> None:
        while True:
            await self._news.wait()
            await self._gather()
            if await self._write(self._waiting[:BATCH]):
                async with self._progress:
                    self._progress.notify_all()
            if not self._waiting:
                self._news.clear()

    async def _write(self, batch: Sequence[Entry]) -> bool:
        """Write a batch, its first entry alone where something is wrong with it; False where the database does not take it now."""
        try:
            await self._ledger.append(batch)
        except CodeactError as error:
            log.error("%d records of the audit wait: %s", len(self._waiting), error, extra={"action": "audit"})
            await asyncio.sleep(RETRY_SECONDS)
            return False
        except Exception:
            if len(batch) > 1:
                return await self._write(batch[:1])
            log.exception("The record %s cannot be written and is left out", batch[0].key, extra={"action": "audit"})
        del self._waiting[: len(batch)]
        self._done += len(batch)
        return True

    async def _gather(self) -> None:
        """Let more entries come, unless somebody waits."""
        try:
            async with asyncio.timeout(LINGER):
                await self._urgent.wait()
        except TimeoutError:
            pass
        self._urgent.clear()

    async def __aenter__(self) -> Recorder:
        self._working = asyncio.create_task(self._work(), name="audit")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self.written()
        except StoreUnavailable:
            lost = "%d records of the audit were not written; those of turns will be when the turn goes on."
            log.error(lost, len(self._waiting), extra={"action": "audit"})
        finally:
            self._working.cancel()
            await asyncio.wait([self._working])
