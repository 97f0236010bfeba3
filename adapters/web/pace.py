"""How much somebody may ask for in a minute."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

KNOWN = 10_000
"""People, or addresses, of whom it is remembered how much they asked for; whoever asked longest ago is forgotten first."""
CHANGE = 10
"""What a request that changes something counts, beside one that reads."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
TOO_OFTEN = "These are more requests than one can make in a minute. Try again in {} s."


class Pace:
    """Budgets that fill up again as time passes, each by itself."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Give each so much a minute, and all of that at once."""
        self._most = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1.0) -> float:
        """Take from somebody's budget. Returns 0, or, with nothing taken, the seconds after which there is enough."""
        now, rate = self._clock(), self._most / 60
        left, since = self._left.pop(key, (self._most, now))
        left = min(self._most, left + (now - since) * rate)
        enough = left >= min(cost, self._most)
        self._left[key] = (left - cost if enough else left, now)
        if len(self._left) > KNOWN:
            self._left.popitem(last=False)
        return 0.0 if enough else (min(cost, self._most) - left) / rate


class Paced:
    """Refuses those who ask too often, and says when they may again."""

    def __init__(self, app: ASGIApp, pace: Pace, whom: Callable[[Request], str]) -> None:
        """Take from the budget that `whom` names; an empty name has none."""
        self._app = app
        self._pace = pace
        self._whom = whom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises HTTPException."""
        key = self._whom(Request(scope))
        seconds = self._pace.take(key, 1 if scope["method"] in READING else CHANGE) if key else 0.0
        if seconds:
            whole = math.ceil(seconds)
            raise HTTPException(429, TOO_OFTEN.format(whole), headers={"Retry-After": str(whole)})
        await self._app(scope, receive, send)


def viewer_key(request: Request) -> str:
    """Name the person behind a request; empty for strangers, whom their address stands for."""
    viewer = request.state.viewer
    return viewer.id if viewer is not None else ""
