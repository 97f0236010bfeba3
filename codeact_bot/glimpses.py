"""Letting other processes see what a step shows while it lasts: its thought, and what its code prints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codeact_bot.agent.execution import Show
from codeact_bot.errors import CodeactError
from codeact_bot.ports import Store
from codeact_bot.types import CodeStarted, Event, Glimpse, Lease, Notice, Output, RunCode, StepDone, Thought, ThoughtDropped, Turn

log = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two looks at what is to be seen. A step that ends before it was looked at twice is never written."""
TAIL = 4_000
"""Characters of the thought and of the output that others see."""
NOTICES, NOTICE = 5, 500
"""Sentences that others see, and characters of each."""


class Glimpses:
    """Folds what a turn shows, and writes it now and then; a step waits for none of it."""

    def __init__(self, store: Store, lease: Lease, turn: Turn, show: Show) -> None:
        """Pass everything on to `show`, too."""
        self._store = store
        self._lease = lease
        self._turn = turn
        self._show = show
        self._step = len([step for step in turn.steps if step.execution is not None or not isinstance(step.action, RunCode)])
        self._running = False
        self._thought = self._output = ""
        self._printed = 0
        self._notices: tuple[str, ...] = ()

    async def show(self, event: Event) -> None:
        """Show an event."""
        self._hear(event)
        await self._show(event)

    def _hear(self, event: Event) -> None:
        match event:
            case Thought():
                self._thought = (self._thought + event.text)[-TAIL:]
            case ThoughtDropped():
                self._thought = ""
            case CodeStarted():
                self._step, self._running = event.index, True
                self._forget()
            case Output():
                self._output = (self._output + event.text)[-TAIL:]
                self._printed += len(event.text)
            case StepDone():
                self._step, self._running = event.step.index + 1, False
                self._forget()
            case Notice():
                self._notices = (*self._notices, event.text[:NOTICE])[-NOTICES:]

    def _forget(self) -> None:
        self._thought = self._output = ""
        self._printed = 0

    def caught(self) -> Glimpse:
        """What is to be seen now."""
        return Glimpse(
            step=self._step,
            running=self._running,
            thought=self._thought,
            output=self._output,
            cut=self._printed - len(self._output),
            notices=self._notices,
        )

    async def work(self) -> None:
        """Write what is to be seen of steps that last, for ever; a fault of ours ends it, and the turn goes on unseen."""
        try:
            await self._write()
        except Exception:
            log.exception("Others do not see what turn %s does", self._turn.id, extra={"action": "glimpse", "turn": self._turn.id})

    async def _write(self) -> None:
        before, written = self.caught(), None
        while True:
            await asyncio.sleep(EVERY)
            now = self.caught()
            lasts = (now.step, now.running) == (before.step, before.running)
            before = now
            if not lasts or now == written or not (now.thought or now.output or now.notices):
                continue
            try:
                await self._store.save_glimpse(self._lease, self._turn.id, now)
                written = now
            except CodeactError as error:
                log.info("Others do not see what turn %s does: %s", self._turn.id, error, extra={"action": "glimpse"})


@asynccontextmanager
async def seen(store: Store, lease: Lease, turn: Turn, show: Show) -> AsyncIterator[Show]:
    """Yield a `show` whose events people see who follow the turn from other processes."""
    glimpses = Glimpses(store, lease, turn, show)
    working = asyncio.create_task(glimpses.work(), name=f"glimpses {turn.id}")
    try:
        yield glimpses.show
    finally:
        working.cancel()
        await asyncio.wait([working])
