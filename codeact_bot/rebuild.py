"""States that were lost: telling people, and making them again by a turn that runs the recorded code."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from codeact_bot.agent.execution import Save, Show
from codeact_bot.agent.replay import Replay, plan
from codeact_bot.keeper import Keeper
from codeact_bot.patience import Patience
from codeact_bot.ports import Store
from codeact_bot.thread_session import ThreadSession
from codeact_bot.types import Ending, File, Notice, Outcome, Snapshot, Turn

NOTHING = "No code of this conversation has run well yet, so there is nothing to rebuild."


async def told(store: Store, session: ThreadSession, turn: Turn, outcome: Outcome, show: Show) -> Outcome:
    """Return a turn's outcome with what was lost of the state before it and, where code of it is recorded, the offer to run that again."""
    await session.woken()
    if not session.lost:
        return outcome
    steps = plan([*await store.turns(turn.incoming.thread), await store.turn(turn.id)]).steps
    lost, session.lost = session.lost, ""
    await show(Notice(text=lost))
    return replace(outcome, lost=lost, rebuild=len(steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """Answers a message of the kind `rebuild`."""

    store: Store
    replay: Replay
    session: ThreadSession
    keeper: Keeper
    patience: Patience

    async def turn(self, turn: Turn, *, save: Save, show: Show, stop: asyncio.Event) -> Outcome:
        """Run the recorded code in an empty sandbox. Where not all of it runs, a state that was there before stays, and else what was made."""
        work = plan(await self.patience.keep(lambda: self.store.turns(turn.incoming.thread)))
        if not work.steps:
            return Outcome(ending=Ending.ANSWERED, text=NOTHING)
        held = await self.session.renew() if not turn.steps else True

        async def keep(complete: bool) -> Snapshot | None:
            if complete or not held:
                return await self.keeper.kept()
            await self.session.revert()
            return None

        async def load(file: File) -> File:
            return replace(file, data=await self.patience.keep(lambda: self.store.load_file(file.digest)))

        outcome = await self.replay.turn(
            turn, work, self.session, load=load, keep=keep, lost=lambda: self.session.lost, save=save, show=show, stop=stop
        )
        self.session.lost = ""
        return outcome
