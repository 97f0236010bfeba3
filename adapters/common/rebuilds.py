"""The offer to run a conversation's recorded code again, where its variables and files are lost."""

from __future__ import annotations

from adapters.render import count
from codeact_bot.types import Author, Incoming, Kind, Step, ThreadId, Turn, now

TEXT = "Rebuild the state: run the recorded code again."
ASKED = "This rebuild was asked for already."
LABEL = "Rebuild state"
AGAIN = "What they sent, wrote or bought elsewhere happens again. Steps that failed then are left out."
WARNING = f"This runs the recorded steps of this conversation again. {AGAIN}"


def warning(turn: Turn) -> str:
    """Say what a rebuild does, before it is begun."""
    steps = count(turn.outcome.rebuild if turn.outcome else 0, "recorded step")
    return f"This runs {steps} again, and those recorded since. {AGAIN}"


def notes(turn: Turn, how: str) -> list[str]:
    """Say what of the state before a turn is lost and, where code of it is recorded, `how` to run that again; nothing where nothing is lost."""
    outcome = turn.outcome
    if outcome is None or not (outcome.lost or outcome.rebuild):
        return []
    offer = f"{how} runs {count(outcome.rebuild, 'recorded step')} again." if outcome.rebuild else ""
    return [each for each in (f"⚠ {outcome.lost}" if outcome.lost else "", offer) if each]


def rebuilding(turn: Turn, thread: ThreadId, author: Author, place: str) -> Incoming:
    """Make the message that has the state rebuilt that was lost before a turn; one for each turn, however often it is asked for."""
    return Incoming(id=f"rebuild:{turn.id}", thread=thread, author=author, text=TEXT, at=now(), place=place, kind=Kind.REBUILD)


def shown_steps(turn: Turn) -> tuple[Step, ...]:
    """Return the steps whose tables, figures and files are posted: none of a rebuild, since they were when they first ran."""
    return () if turn.incoming.kind is Kind.REBUILD else turn.steps
