"""Gathers what a hint may need to know, and asks the table."""

from __future__ import annotations

from collections.abc import Sequence

from codeact_bot.agent.hints import Context, Hint, hint_for
from codeact_bot.errors import CodeactError
from codeact_bot.ports import Session
from codeact_bot.types import Execution, Status, Step


async def advise(
    execution: Execution, hints: Sequence[Hint], session: Session, steps: Sequence[Step], *, packages: str, seconds: float, network: bool
) -> str:
    """Return one line of advice on an execution, empty where no hint fits; `steps` are the turn's earlier ones."""
    runs = [step.execution for step in steps if step.execution is not None]
    context = Context(
        files=await _files(execution, session),
        packages=tuple(name.strip() for name in packages.split(",")),
        lost=frozenset(name for run in runs for name in run.lost),
        restarted=any(run.state_lost for run in runs),
        seconds=seconds,
        network=network,
    )
    return hint_for(execution, hints, context)


async def _files(execution: Execution, session: Session) -> tuple[str, ...]:
    if execution.status is not Status.ERROR or not session.alive:
        return ()
    try:
        return tuple(name for name, _ in await session.files())
    except CodeactError:
        return ()
