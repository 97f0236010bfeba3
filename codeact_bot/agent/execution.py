"""Running one block in a session: within its time, and until a person stops it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from codeact_bot.errors import ImageUnavailable, ProtocolViolated, SandboxLost, SandboxUnavailable
from codeact_bot.ports import Session
from codeact_bot.redaction import Redactor
from codeact_bot.types import Bounds, Event, Execution, Output, Status, Step

log = logging.getLogger(__name__)

Save = Callable[[Step], Awaitable[None]]
"""Keeps a step, open or closed."""
Show = Callable[[Event], Awaitable[None]]
"""Is given what people should see."""

GRACE = 1.5
"""Seconds that an interrupted session has to report back: it kills after one, and a stop has to be over within two."""
OVERRUN = 5.0
"""Seconds by which a session may exceed the time it was given before it is taken for hung."""
SANDBOX_FAULTS = (SandboxUnavailable, ImageUnavailable, SandboxLost, ProtocolViolated)
"""What a session raises where no code can run, or where nobody knows whether it ran."""
INTERRUPTED = Execution(status=Status.LOST)
"""Stands in for the result of a step that was left open by a crash."""


async def execute(
    session: Session, code: str, *, seconds: float, bounds: Bounds, redactor: Redactor, show: Show, stop: asyncio.Event
) -> Execution:
    """Run the code for `seconds` at most; a stop interrupts it; secrets are left out of what comes back. Raises SANDBOX_FAULTS."""
    began, stream = time.monotonic(), redactor.stream()

    async def printed(text: str) -> None:
        if shown := stream.feed(text):
            await show(Output(text=shown))

    running = asyncio.create_task(session.run(code, seconds=seconds, bounds=bounds, printed=printed))
    try:
        await first(running, stop.wait(), seconds + OVERRUN)
        if not running.done() and stop.is_set():
            await session.interrupt()
            await asyncio.wait([running], timeout=GRACE)
        if rest := stream.end():
            await show(Output(text=rest))
        if running.done():
            return redactor.execution(running.result())
    finally:
        await cancelled(running)
    status = Status.STOPPED if stop.is_set() else Status.LOST
    return Execution(status=status, state_lost=True, seconds=time.monotonic() - began)


async def first(task: asyncio.Task[Any], event: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Wait until the task or the event is done, for `seconds` at most."""
    waiting = asyncio.create_task(event)
    try:
        await asyncio.wait([task, waiting], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(waiting)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is over; what it fails with instead is logged, since nobody asks any more."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("The end of cancelled work failed: %s", error, extra={"action": "end"})
