"""What people were told already, so that nobody is told it again and again."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

REMEMBERED = 1_000


class Told:
    """Remembers the last things that were said."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._said: OrderedDict[str, float] = OrderedDict()

    def first(self, thing: str, seconds: float = math.inf) -> bool:
        """Whether this is said for the first time, or again after so many seconds; it counts as said from now on."""
        at = time.monotonic()
        fresh = thing not in self._said or at - self._said[thing] >= seconds
        self._said[thing] = at
        self._said.move_to_end(thing)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return fresh

    def forget(self, thing: str) -> None:
        """Let this be said again."""
        self._said.pop(thing, None)
