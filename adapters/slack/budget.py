"""How many edits all answers of a workspace may make together."""

from __future__ import annotations

import asyncio

PER_MINUTE = 50.0
"""Slack's rate limit of `chat.update` (tier 3) per workspace; the final edit of an answer does not wait for it."""
BURST = 20.0


class Budget:
    """A bucket of tokens; `take` waits for one, `spend` does not."""

    def __init__(self, per_minute: float = PER_MINUTE, burst: float = BURST) -> None:
        """Refill `per_minute` tokens, and keep at most `burst` of them."""
        self._rate = per_minute / 60
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    async def take(self, hurry: asyncio.Event) -> None:
        """Wait until a token is left, first come first served, or until there is hurry: then the token goes back."""
        self._refill()
        self._left -= 1
        if self._left < 0:
            try:
                async with asyncio.timeout(-self._left / self._rate):
                    await hurry.wait()
                self._left += 1
            except TimeoutError:
                pass

    def spend(self) -> None:
        """Take a token that may not be there; others wait for longer then."""
        self._refill()
        self._left = max(self._left - 1, -self._burst)

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        self._left = min(self._burst, self._left + (now - (self._at if self._at is not None else now)) * self._rate)
        self._at = now
