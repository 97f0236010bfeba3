"""Answers on their way to the platform: tried until they have arrived, by this worker or the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType

from codeact_bot.agent.execution import cancelled
from codeact_bot.audit import Recorder, ended, turn_entries
from codeact_bot.errors import CodeactError
from codeact_bot.ports import ChatAdapter, Observer, Reply, Store
from codeact_bot.types import WEB, Activity, Event, Incoming, Turn, TurnDone, Work

log = logging.getLogger(__name__)

SECONDS = 30.0
"""How long an answer stays with a worker that died while delivering it; renewed three times in that span."""
WAIT = 3.0
"""How long a thread's next message waits for the answer before it to arrive."""
LOOK_SECONDS = 10.0
"""How often to look for answers that a worker gave and did not deliver."""


class Deliveries:
    """The answers that this worker delivers; `async with` looks for those that dead workers owe, too."""

    def __init__(self, store: Store, adapters: Sequence[ChatAdapter], owner: str, recorder: Recorder, observer: Observer) -> None:
        """Deliver through the adapters, as this owner; a turn's end is recorded before its answer counts as delivered."""
        self._store = store
        self._adapters = adapters
        self._owner = owner
        self._recorder = recorder
        self._observer = observer
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, turn: Turn, reply: Reply) -> None:
        """Deliver a turn's end in the background; returns when it has arrived, or does not for a while."""
        if turn.outcome is not None:
            self._recorder.note(ended(turn, turn.outcome))
        task = asyncio.create_task(self._deliver(turn, reply), name=f"delivery {turn.id}")
        self._keep(task)
        await asyncio.wait([task], timeout=WAIT)

    def settle(self, past: Sequence[Turn], by: Incoming) -> None:
        """Have the post of the turn before, where that asked for an approval, say what came of it, in the background and once it is all there.

        A crash in between leaves its buttons, or the next worker does it again; what was decided is in the queue.
        """
        if past and past[-1].outcome is not None and past[-1].outcome.proposal:
            self._keep(asyncio.create_task(self._settle(past[-1], by), name=f"settling {past[-1].id}"))

    async def _settle(self, asked: Turn, by: Incoming) -> None:
        delivery = [task for task in self._tasks if task.get_name() == f"delivery {asked.id}"]
        if delivery:
            await asyncio.wait(delivery)
        try:
            adapter = adapter_of(self._adapters, asked)
            if adapter is not None:
                await adapter.settle(asked, by)
        except Exception:
            log.exception("Could not show what came of an approval", extra={"action": "settle", "turn": asked.id})

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, turn: Turn, reply: Reply) -> None:
        showing = asyncio.create_task(reply.show(TurnDone(turn=turn)), name=f"showing {turn.id}")
        try:
            with self._observer.during(Work(what=Activity.DELIVERY, thread=turn.incoming.thread, turn=turn.id)):
                while not (await asyncio.wait([showing], timeout=SECONDS / 3))[0]:
                    await self._store.renew_delivery(turn.id, self._owner, SECONDS)
                showing.result()
                await self._recorder.written()
                await self._store.delivered(turn.id)
        except CodeactError as error:
            log.error("%s", error, extra={"action": "deliver", "turn": turn.id})
        except Exception:
            log.exception("Delivering an answer failed", extra={"action": "deliver", "turn": turn.id})
        finally:
            await cancelled(showing)

    async def _look(self) -> None:
        while True:
            try:
                owed = await self._store.claim_delivery(self._owner, SECONDS, prefixes(self._adapters))
                if owed is not None:
                    self._recorder.note(*turn_entries(owed))
                    await self.begin(owed, await open_reply(self._adapters, owed))
                    continue
            except CodeactError as error:
                log.error("Could not look for answers to deliver: %s", error, extra={"action": "deliver"})
            except Exception:
                log.exception("Could not deliver an answer of before", extra={"action": "deliver"})
            await asyncio.sleep(LOOK_SECONDS)

    async def __aenter__(self) -> Deliveries:
        self._looking = asyncio.create_task(self._look(), name="deliveries")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; what has not arrived stays owed."""
        tasks = [self._looking, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def prefixes(adapters: Sequence[ChatAdapter]) -> Sequence[str]:
    """Return the beginnings of all thread ids that the adapters serve now."""
    return [prefix for adapter in adapters for prefix in adapter.prefixes]


class Unposted:
    """The reply to a question that was asked in the web chat and whose answer appears nowhere else; implements Reply."""

    reference = ""

    async def show(self, event: Event) -> None:
        """Do nothing: whoever looks at the conversation sees what the store has."""

    async def aclose(self) -> None:
        """Nothing is held."""


async def open_reply(adapters: Sequence[ChatAdapter], turn: Turn) -> Reply:
    """Open the post for a turn, with the adapter that serves its thread; with the web chat's, if any, where it was asked for there alone."""
    adapter = adapter_of(adapters, turn)
    return await adapter.reply(turn) if adapter is not None else Unposted()


def adapter_of(adapters: Sequence[ChatAdapter], turn: Turn) -> ChatAdapter | None:
    """Return the adapter that shows a turn; None where none does."""
    where = WEB if turn.incoming.place.startswith(WEB) else turn.incoming.thread
    return next((adapter for adapter in adapters if where.startswith(tuple(adapter.prefixes))), None)
