"""A core of the smallest kind behind a chat adapter: the real store in memory, and turns that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from codeact_bot.desk import StoreDesk
from codeact_bot.errors import StoreUnavailable
from codeact_bot.ports import ChatAdapter, Reply
from codeact_bot.store.memory import MemoryStore
from codeact_bot.types import Completion, Ending, Incoming, Lease, Outcome, Proposal, Step, StepDone, ThreadId, Turn, TurnDone

During = Callable[[Turn, Reply], Awaitable[None]]


class Core:
    """Implements Inbox; `answer` plays the turn of the message that waits longest."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.desk = StoreDesk(self.store)
        self.adapter: ChatAdapter | None = None
        self.accepted: list[Incoming] = []
        self.stopped: list[ThreadId] = []
        self.arrived = asyncio.Event()
        self.failing = 0

    async def accept(self, incoming: Incoming) -> bool:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("The database does not answer.")
        fresh = await self.store.push(incoming)
        if fresh:
            self.accepted.append(incoming)
            self.arrived.set()
        return fresh

    async def stop(self, thread: ThreadId) -> None:
        self.stopped.append(thread)
        await self.store.ask_stop(thread)

    async def withdraw(self, thread: ThreadId, incoming_id: str) -> bool:
        if await self.store.withdraw(thread, incoming_id):
            return True
        waiting = await self.store.pending(thread)
        if waiting and waiting[0].id == incoming_id:
            await self.stop(thread)
            return True
        return False

    async def begin(self) -> tuple[Lease, Turn, Reply]:
        """Claim a turn and open its post."""
        assert self.adapter is not None
        lease = await self.store.claim("test", 3600, self.adapter.prefixes)
        assert lease is not None, "no question waits"
        turn = await self.store.open_turn(lease)
        reply = await self.adapter.reply(turn)
        await self.store.save_reply(lease, turn.id, reply.reference)
        for asked in await self.store.turns(lease.thread, last=1):
            if asked.outcome is not None and asked.outcome.proposal:
                await self.adapter.settle(asked, turn.incoming)
        return lease, turn, reply

    async def end(
        self,
        lease: Lease,
        turn: Turn,
        text: str = "Done.",
        steps: Sequence[Step] = (),
        ending: Ending = Ending.ANSWERED,
        lost: str = "",
        rebuild: int = 0,
        proposal: str = "",
    ) -> Turn:
        """Save the steps and the outcome, without showing them."""
        for step in steps:
            for file in (*step.execution.images, *step.execution.files) if step.execution else ():
                await self.store.save_file(file)
            await self.store.save_step(lease, turn.id, step)
        outcome = Outcome(ending=ending, text=text, lost=lost, rebuild=rebuild, proposal=proposal)
        done = await self.store.end_turn(lease, turn.id, outcome)
        await self.store.release(lease)
        return done

    async def answer(
        self,
        text: str = "Done.",
        steps: Sequence[Step] = (),
        during: During | None = None,
        ending: Ending = Ending.ANSWERED,
        lost: str = "",
        rebuild: int = 0,
        proposal: str = "",
    ) -> Turn:
        """Play one whole turn."""
        lease, turn, reply = await self.begin()
        if during is not None:
            await during(turn, reply)
        for step in steps:
            await reply.show(StepDone(step=step))
        done = await self.end(lease, turn, text, steps, ending, lost, rebuild, proposal)
        await reply.show(TurnDone(turn=done))
        await self.store.delivered(done.id)
        return replace(done, reply=reply.reference)

    async def propose(self, code: str = "print(6 * 7)", thought: str = "I multiply.") -> Turn:
        """Play a turn that asks whether its code may run."""
        action = Proposal(thought=thought, code=code)
        step = Step(index=0, completion=Completion(text=f"{thought}\n\n```python\n{code}\n```\n"), action=action)
        return await self.answer("May I run this code?", [step], ending=Ending.APPROVAL, proposal=action.digest)
