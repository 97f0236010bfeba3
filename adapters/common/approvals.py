"""Code that waits for a person's yes: the words for it, and what comes of an answer."""

from __future__ import annotations

from adapters.render import one_line
from codeact_bot.ports import Desk
from codeact_bot.types import Approval, Author, File, Incoming, Kind, Proposal, ThreadId, Turn

APPROVE, DECLINE = "Approve", "Decline"
HOW = "Approve or Decline, below, answers; so do these words. Another question takes this one back."
ANSWERED = "This was answered already."
VOID = "This code does not wait for an answer any more: something else was asked here since, or it was taken back."
EARLY = "You wrote this before I showed the code that waits now. Look at it, and write it again."
OVERTAKEN = "Not answered: something else was asked here since."
TAKEN_BACK = "Not answered: it was taken back."
CHANGED = "This is not the code that is recorded, so it cannot be approved. Ask the question again."
YES = {"approve", "approved", "yes", "y", "yes, run it", "run it"}
NO = {"decline", "declined", "no", "n", "no, don't", "don't"}
SAID = {True: "Approved: run this code.", False: "Declined: do not run this code."}
LAST = 20
"""Ended turns among which an answer is looked for."""


def proposal(turn: Turn) -> Proposal | None:
    """Return the code that a turn asks to run; None where it asks nothing."""
    last = turn.steps[-1].action if turn.steps and turn.outcome and turn.outcome.proposal else None
    return last if isinstance(last, Proposal) else None


def verdict(text: str) -> bool | None:
    """Whether a message is nothing but a yes or a no; None where it is neither."""
    words = " ".join(text.lower().strip().strip(".!").split())
    return True if words in YES else False if words in NO else None


def note(turn: Turn) -> str:
    """Say who approved what a turn runs; empty where it answers a question, or a no."""
    said = turn.incoming.approval
    return _decided(turn.incoming.author, yes=True) if said and said.yes else ""


def settled(asked: Turn, by: Incoming) -> str:
    """Say what came of a turn's question whether its code may run: who approved or declined, or that another message made it void."""
    said = by.approval
    return _decided(by.author, yes=said.yes) if said and said.turn == asked.id else OVERTAKEN


def _decided(by: Author, *, yes: bool) -> str:
    return f"{'Approved' if yes else 'Declined'} by {one_line(by.name, 60)}."


def code_file(turn: Turn, shown: int) -> list[File]:
    """Return the code that a turn asks to run as a file, where it has more characters than are shown."""
    asked = proposal(turn)
    return [File.of("code.py", asked.code.encode("utf-8", "replace"))] if asked and len(asked.code) > shown else []


def approving(turn: Turn, *, yes: bool, author: Author, place: str) -> Incoming:
    """Make the message that answers whether a turn's code may run; one for each turn, whoever gives it and however often."""
    assert turn.outcome is not None
    asked = turn.incoming
    said = Approval(turn=turn.id, digest=turn.outcome.proposal, yes=yes, asker=asked.asker)
    return Incoming(id=f"approval:{turn.id}", thread=asked.thread, author=author, text=SAID[yes], place=place, kind=Kind.APPROVAL, approval=said)


async def refusal(desk: Desk, turn: Turn, digest: str) -> str:
    """Say why the code with this SHA-256, or the beginning of one, cannot be approved or declined; empty where it waits for that."""
    thread = turn.incoming.thread
    pending, ended = await desk.pending(thread), await desk.turns(thread, last=LAST)
    answers = [each.approval for each in (*pending, *(other.incoming for other in ended)) if each.approval is not None]
    if any(each.turn == turn.id for each in answers):
        return ANSWERED
    if pending or not ended or ended[-1].id != turn.id or turn.outcome is None or not turn.outcome.proposal:
        return VOID
    return "" if digest and turn.outcome.proposal.startswith(digest) else CHANGED


async def meant(desk: Desk, thread: ThreadId, place: str = "") -> Turn | str | None:
    """Return the turn that a yes or no, written in a conversation, is for; a sentence where it can be for none; None where none waits.

    The sentence is empty where what was written at this place was taken in before: it is a redelivery.
    """
    pending, ended = await desk.pending(thread), await desk.turns(thread, last=LAST)
    answers = [each for each in (*pending, *(turn.incoming for turn in ended)) if each.approval is not None]
    if place and any(each.place == place for each in answers):
        return ""
    if pending:
        return ANSWERED if pending[0].approval else None
    return ended[-1] if ended and proposal(ended[-1]) else None
