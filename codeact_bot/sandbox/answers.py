"""What a sandbox answers to one request."""

from __future__ import annotations

import asyncio
import time

from codeact_bot.errors import SandboxLost
from codeact_bot.sandbox.wire import Frame

WAITING = 8
"""Frames of one request that may wait to be taken; more, and the channel is not read."""


class Answers:
    """The frames that answer one request, and how long they may still take."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number = number
        self._frames: asyncio.Queue[Frame | Exception] = asyncio.Queue(WAITING)
        self._left = seconds

    async def add(self, frame: Frame) -> None:
        """Hand in a frame; waits while too many have not been taken."""
        await self._frames.put(frame)

    def end(self, failure: Exception) -> None:
        """Say that no more frames come; those not yet taken are void."""
        while not self._frames.empty():
            self._frames.get_nowait()
        self._frames.put_nowait(failure)

    async def next(self) -> Frame:
        """Return the next frame; only the time spent here counts. Raises SandboxLost."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                frame = await self._frames.get()
        except TimeoutError:
            raise SandboxLost("The sandbox stopped answering.") from None
        self._left -= time.monotonic() - began
        if isinstance(frame, Exception):
            raise SandboxLost(str(frame)) from frame
        return frame
