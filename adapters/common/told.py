"""What people were told already, so that nobody is told it again and again."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 1_000


class Told:
    """Remembers the last things that were said."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._said: OrderedDict[str, None] = OrderedDict()

    def first(self, thing: str) -> bool:
        """Whether this is said for the first time; it counts as said from now on."""
        fresh = thing not in self._said
        self._said[thing] = None
        self._said.move_to_end(thing)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return fresh

    def forget(self, thing: str) -> None:
        """Let this be said again."""
        self._said.pop(thing, None)
