"""The audit: what is recorded of a turn, the writer beside the turns, and the verification of the chain."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any

from codeact_bot.errors import CodeactError
from codeact_bot.ports import Ledger
from codeact_bot.types import Deed, Entry, Execution, Outcome, RunCode, Step, Turn, now

log = logging.getLogger(__name__)

LINGER = 0.05
"""Seconds in which records gather before they are written together."""
RETRY_SECONDS = 0.5
"""How soon a write is tried again that the database did not take."""
CLOSE_SECONDS = 5.0
"""How long the last records may take to be written when the program ends."""
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


def step_entries(turn: Turn, step: Step) -> Sequence[Entry]:
    """Record a step as far as it has come: the model's request, the code when it begins, the result when there is one."""
    said, key = step.completion, f"{turn.id}/{step.index}"
    entry = partial(Entry, author=turn.incoming.author, thread=turn.incoming.thread, turn=turn.id, step=step.index)
    wanted = type(step.action).__name__.lower()
    requested: dict[str, Any] = {"at": step.at, "model": said.model, "usage": said.usage, "seconds": said.seconds, "status": wanted}
    entries = [entry(kind=Deed.REQUESTED, key=f"{key}/requested", **requested)]
    if isinstance(step.action, RunCode):
        entries.append(entry(kind=Deed.CODE, key=f"{key}/code", at=step.at, text=step.action.code))
    if step.execution is not None:
        entries.append(entry(kind=Deed.RESULT, key=f"{key}/result", **_result(step.execution)))
    return entries


def _result(run: Execution) -> dict[str, Any]:
    whole = run.output + (run.value or "") + (run.error.message if run.error else "")
    return {
        "text": ends(whole),
        "status": str(run.status),
        "error": run.error.type if run.error else "",
        "seconds": run.seconds,
        "digest": hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest(),
        "files": (*run.files, *run.images),
    }


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
    entries = [asked(turn), *(entry for step in turn.steps for entry in step_entries(turn, step))]
    return [*entries, ended(turn, turn.outcome)] if turn.outcome else entries


class Recorder:
    """Writes records beside the turns, many at once; `async with` writes the last ones before it ends."""

    def __init__(self, ledger: Ledger) -> None:
        """Write into a ledger."""
        self._ledger = ledger
        self._waiting: list[Entry] = []
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def note(self, *entries: Entry) -> None:
        """Take entries; they are written soon, however long the database is away."""
        self._waiting += entries
        if entries:
            self._empty.clear()
            self._news.set()

    async def written(self) -> None:
        """Wait until all that was noted is durable."""
        self._urgent.set()
        await self._empty.wait()

    async def _work(self) -> None:
        while True:
            await self._news.wait()
            await self._gather()
            batch = self._waiting[:BATCH]
            try:
                await self._ledger.append(batch)
            except CodeactError as error:
                log.error("%d records of the audit wait: %s", len(self._waiting), error, extra={"action": "audit"})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            del self._waiting[: len(batch)]
            if not self._waiting:
                self._news.clear()
                self._urgent.clear()
                self._empty.set()

    async def _gather(self) -> None:
        """Let more entries come, unless somebody waits."""
        try:
            async with asyncio.timeout(LINGER):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def __aenter__(self) -> Recorder:
        self._working = asyncio.create_task(self._work(), name="audit")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.wait([asyncio.ensure_future(self.written()), self._working], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            lost = "%d records of the audit were not written; those of turns will be when the turn goes on."
            log.error(lost, len(self._waiting), extra={"action": "audit"})
        finally:
            self._working.cancel()
            await asyncio.wait([self._working])
