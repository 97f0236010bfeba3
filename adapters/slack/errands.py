"""What is still being done for people when the bot stops: Bolt starts its listeners as tasks that nobody owns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

GRACE = 3.0
"""Seconds that listeners get to end: as long as Slack waits for an acknowledgement (https://docs.slack.dev/interactivity/handling-user-interaction)."""

Listener = Callable[..., Awaitable[Any]]


class Errands:
    """Owns the listeners that run."""

    def __init__(self) -> None:
        """Begin without any."""
        self._tasks: set[asyncio.Task[Any]] = set()

    def own(self, listener: Listener) -> Listener:
        """Return the listener, which then is owned while it runs; Bolt still sees which arguments it wants."""

        @wraps(listener)
        async def run(*args: Any, **kwargs: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await listener(*args, **kwargs)
            finally:
                self._tasks.discard(task)

        return run

    async def settle(self) -> None:
        """Let what runs come to its end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)

    async def aclose(self) -> None:
        """Cancel what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
