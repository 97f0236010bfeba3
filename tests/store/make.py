"""Messages, steps and a worker's moves for the store's tests."""

from __future__ import annotations

from codeact_bot.types import (
    Author,
    Ending,
    Outcome,
)

ANN = Author(id="U1", name="Ann")
BOB = Author(id="U2", name="Bob")
ANSWERED = Outcome(ending=Ending.ANSWERED, text="The mean is 4.")
ANY = ("",)
