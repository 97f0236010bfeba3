"""Code that a person has to approve: how a turn asks for it, and what comes of their answer."""

from __future__ import annotations

from collections.abc import Sequence

from codeact_bot.redaction import MARK
from codeact_bot.types import Ending, Kind, Outcome, Proposal, RunCode, Turn

QUESTION = "May I run this code?"
WAITS = "This code has not been run: a person has to approve it first."
"""What the model is told of a proposal."""
VOID = "Nothing was run: what was approved or declined is not what this conversation waits for any more."
CHANGED = "Nothing was run: the code that was approved is not the code that is recorded. Ask the question again."
INCOMPLETE = "Nothing was run: a secret was left out of the record of this code, so it is not all there. Ask the question again."


def asking(proposal: Proposal) -> Outcome:
    """Return the outcome of a turn that wants to run code."""
    return Outcome(ending=Ending.APPROVAL, text=QUESTION, proposal=proposal.digest)


def granted(turn: Turn, past: Sequence[Turn]) -> RunCode | Outcome | None:
    """Return the code that a message has approved, as it is recorded in the turn before; an outcome where it is not to run; None for a question."""
    if turn.incoming.kind is not Kind.APPROVAL:
        return None
    said = turn.incoming.approval
    if said is None or not past or past[-1].id != said.turn:
        return _stopped(VOID)
    asked = past[-1]
    proposal = asked.steps[-1].action if asked.steps else None
    if asked.outcome is None or not asked.outcome.proposal or not isinstance(proposal, Proposal):
        return _stopped(VOID)
    if not said.yes:
        return _stopped(f"{' '.join(turn.incoming.author.name.split())} declined, so this code was not run.")
    if not proposal.digest == asked.outcome.proposal == said.digest:
        return _stopped(CHANGED)
    return _stopped(INCOMPLETE) if MARK in proposal.code else RunCode(thought=proposal.thought, code=proposal.code)


def _stopped(text: str) -> Outcome:
    return Outcome(ending=Ending.STOPPED, text=text)
