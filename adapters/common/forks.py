"""Going on from an earlier answer in a conversation of its own."""

from __future__ import annotations

from adapters.common.commands import brought
from adapters.render import one_line
from codeact_bot.types import Fork, Turn

SECONDS = 10.0
"""A second press within this span is taken for a slip of the finger, or for the platform's redelivery."""
RUNNING = "This question is still being answered. Fork from here when its answer is there."
GONE = "This question was taken back, so there is nothing to fork from."
TWICE = "I have just done that."


def after_which(argument: str, asked: int) -> int | str:
    """Return after how many of the questions asked so far to fork, as `/codeact fork ARGUMENT` says; a sentence where that cannot be."""
    number = int(argument) if argument.isdigit() and len(argument) < 6 else 0 if argument else asked
    if not asked:
        return "No question of this conversation has been answered yet."
    if 1 <= number <= asked:
        return number
    return f"After which question? This conversation has {asked}: `/codeact fork {asked}` goes on after the last one."


def elsewhere(name: str, fork: Fork, turn: Turn) -> tuple[str, str, str]:
    """Say that a fork goes on at a place of its own: the texts before, in and after the words that may be a link to the original."""
    return f"{one_line(name, 80)} forked this from ", f"question {fork.turns}, “{asked(turn)}”", f". Write here to go on, {brought(fork)}"


def here(name: str, fork: Fork, turn: Turn) -> str:
    """Say that a fork goes on where the conversation was, since there are no threads."""
    said = f"{one_line(name, 80)} went back to question {fork.turns}, “{asked(turn)}”. The next message here goes on from there, {brought(fork)}"
    return f"{said} What was asked since is kept: “Fork from here” below the last answer goes on with that."


def asked(turn: Turn) -> str:
    """Return the beginning of a turn's question, or its files' names where it has no text."""
    return one_line(turn.incoming.text, 80) or one_line(", ".join(file.name for file in turn.incoming.files), 80)
