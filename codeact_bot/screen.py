"""The console of the commands: one whose reader may go away, as `head` does."""

from __future__ import annotations

import os
import signal
import sys

from rich.console import Console


class Screen(Console):
    """A rich console that ends the program quietly, with everything closed, when nobody reads its output any more."""

    def on_broken_pipe(self) -> None:
        """Swallow the rest of the output and end as SIGTERM would."""
        swallow()
        signal.raise_signal(signal.SIGTERM)


def swallow() -> None:
    """Send what is still to be printed nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
