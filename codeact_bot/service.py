"""The inbox and the worker: accept -> claim -> turn -> release."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from codeact_bot.agent.approvals import granted
from codeact_bot.agent.loop import Loop
from codeact_bot.agent.replay import Replay
from codeact_bot.arrivals import hear
from codeact_bot.audit import Recorder, news, turn_entries
from codeact_bot.delivery import Deliveries, open_reply, prefixes
from codeact_bot.errors import CodeactError, LeaseLost, StoreUnavailable
from codeact_bot.glimpses import seen
from codeact_bot.keeper import Keeper
from codeact_bot.patience import Patience, giving_way, to_the_end
from codeact_bot.ports import UNOBSERVED, ChatAdapter, Observer, Reply, Store, Tell
from codeact_bot.rebuild import Rebuild, told
from codeact_bot.redaction import MARK
from codeact_bot.sessions import Sessions
from codeact_bot.thread_session import ThreadSession
from codeact_bot.types import Activity, Ending, Fire, Incoming, Kind, Lease, Notice, Outcome, Step, ThreadId, Turn, Work, step_mark

log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""How long a thread stays with a worker that has died; renewed three times in that span."""
POLL_SECONDS = 0.5
"""How soon a stop asked for elsewhere, or a message accepted elsewhere, is noticed."""
SECRET_ASKED = f"A secret in your question was left out: I read {MARK}…] instead. If it is in use, change it, since this chat has it still."
PAST_TURNS = 200
"""Turns of history that are loaded at most; the window sends the model what fits."""


class Service:
    """Runs turns for its adapters; implements Inbox."""

    def __init__(
        self,
        *,
        store: Store,
        sessions: Sessions,
        loop: Loop,
        adapters: Sequence[ChatAdapter],
        concurrency: int = 50,
        grace: float = 0.0,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Work for these adapters, on so many threads at once; `grace` is what `leave` gives the turns under way, in seconds."""
        self._store = store
        self._sessions = sessions
        self._loop = loop
        self._adapters = adapters
        self._free = asyncio.Semaphore(concurrency)
        self._wake = asyncio.Event()
        self._grace = grace
        self._observer = observer
        self.leaving = asyncio.Event()
        """Set when it is about to end."""
        self._turns: set[asyncio.Task[None]] = set()
        self._stops: dict[ThreadId, asyncio.Event] = {}
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._recorder = Recorder(store)
        self._deliveries = Deliveries(store, adapters, self._owner, self._recorder, observer)

    async def accept(self, incoming: Incoming) -> bool:
        """Queue a message; on return it is durable. False when it is a redelivery. Raises StoreUnavailable."""
        fresh = await self._store.push(incoming)
        self._wake.set()
        return fresh

    async def stop(self, thread: ThreadId) -> None:
        """Stop the thread's running turn, wherever it runs."""
        if thread in self._stops:
            self._stops[thread].set()
        await self._store.ask_stop(thread)

    async def withdraw(self, thread: ThreadId, incoming_id: str) -> bool:
        """Give a message up: off the queue while it waits, stopped while it is answered; False where it is neither."""
        if await self._store.withdraw(thread, incoming_id):
            return True
        waiting = await self._store.pending(thread)
        if not waiting or waiting[0].id != incoming_id:
            return False
        await self.stop(thread)
        return True

    async def run(self) -> None:
        """Listen and work until every adapter has nothing more to hear, or until `leave`; turns still under way are then handed back."""
        async with self._recorder, self._deliveries, asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._work(), name="worker"),
                group.create_task(hear(self._store, self._wake, POLL_SECONDS), name="arrivals"),
            ]
            async with asyncio.TaskGroup() as listening:
                ears = [listening.create_task(adapter.listen(self), name=type(adapter).__name__) for adapter in self._adapters]
                helpers.append(group.create_task(self._end(ears), name="end"))
            for helper in helpers:
                helper.cancel()

    def leave(self) -> int:
        """Begin to end: nothing more is claimed, and what is under way has its grace. Returns how many turns that are."""
        self.leaving.set()
        return len(self._turns)

    async def _end(self, ears: Sequence[asyncio.Task[None]]) -> None:
        await self.leaving.wait()
        if self._turns:
            await asyncio.wait(self._turns, timeout=self._grace)
        for ear in ears:
            ear.cancel()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            while not self.leaving.is_set():
                await self._free.acquire()
                self._wake.clear()
                asked = time.perf_counter()
                lease = await self._claim()
                if lease is None:
                    self._free.release()
                    await self._rest()
                    continue
                turn = group.create_task(self._serve(lease, asked), name=f"turn {lease.thread}")
                self._turns.add(turn)
                turn.add_done_callback(self._turns.discard)

    async def _claim(self) -> Lease | None:
        try:
            return await self._store.claim(self._owner, LEASE_SECONDS, prefixes(self._adapters))
        except CodeactError as error:
            log.error("Could not look for work: %s", error, extra={"action": "claim"})
            return None

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _serve(self, lease: Lease, asked: float) -> None:
        try:
            with self._observer.during(Work(what=Activity.TURN, thread=lease.thread, since=asked)) as tell:
                async with self._held(lease) as stop:
                    await self._turn(lease, stop, asked, tell)
        except LeaseLost as error:
            log.warning("%s", error, extra={"action": "turn", "conversation": lease.thread})
        except CodeactError as error:
            log.error("%s", error, extra={"action": "turn", "conversation": lease.thread})
        except Exception:
            log.exception("Serving a thread failed", extra={"action": "turn", "conversation": lease.thread})
        finally:
            self._free.release()
            self._wake.set()

    async def _turn(self, lease: Lease, stop: asyncio.Event, asked: float, tell: Tell) -> None:
        patience = Patience(LEASE_SECONDS)
        with self._observer.during(Work(what=Activity.CLAIM, thread=lease.thread, since=asked)) as opened:
            turn = await patience.keep(lambda: self._store.open_turn(lease))
            opened(turn)
            tell(turn)
        self._recorder.note(*turn_entries(turn))
        patience.reply = reply = await open_reply(self._adapters, turn)
        try:
            await patience.keep(lambda: self._store.save_reply(lease, turn.id, reply.reference))
            if (fire := turn.incoming.fire) is not None and fire.skipped:
                await to_the_end(self._skip(lease, turn, fire, reply, patience, tell))
                return
            if fire is not None and fire.note:
                await reply.show(Notice(text=fire.note))
            if MARK in turn.incoming.text and not turn.resumed:
                await reply.show(Notice(text=SECRET_ASKED))
            async with giving_way(reply), self._sessions.hold(lease) as session, self._keeper(lease, session, reply) as keeper:
                outcome = await self._outcome(lease, turn, session, keeper, reply, patience, stop)
                outcome = await patience.keep(partial(told, self._store, session, turn, outcome, reply.show))
                await to_the_end(self._finish(lease, turn.id, outcome, keeper, reply, patience, tell))
        except StoreUnavailable:
            await patience.tell()
            raise

    def _keeper(self, lease: Lease, session: ThreadSession, reply: Reply) -> Keeper:
        return Keeper(self._store, lease, session, reply.show, self._observer)

    async def _skip(self, lease: Lease, turn: Turn, fire: Fire, reply: Reply, patience: Patience, tell: Tell) -> None:
        """End the turn of a scheduled run that is not to be made."""
        self._deliveries.settle(await patience.keep(lambda: self._store.turns(lease.thread, last=1)), turn.incoming)
        missed = Outcome(ending=Ending.MISSED, text=fire.note)
        done = await patience.keep(lambda: self._end_turn(lease, turn.id, missed))
        tell(done)
        await self._deliveries.begin(done, reply)

    async def _finish(self, lease: Lease, turn_id: str, outcome: Outcome, keeper: Keeper, reply: Reply, patience: Patience, tell: Tell) -> None:
        await self._recorder.written()
        done = await patience.keep(lambda: self._end_turn(lease, turn_id, outcome))
        tell(done)
        await self._deliveries.begin(done, reply)
        await keeper.finish(turn_id)

    async def _end_turn(self, lease: Lease, turn_id: str, outcome: Outcome) -> Turn:
        """End a turn, or find that an attempt before did whose success the database could not report. Raises LeaseLost."""
        try:
            return await self._store.end_turn(lease, turn_id, outcome)
        except LeaseLost:
            await self._store.renew(lease, LEASE_SECONDS)  # only as long as nobody else has the thread
            turn = await self._store.turn(turn_id)
            if turn.outcome is None:
                raise
            return turn

    async def _outcome(
        self, lease: Lease, turn: Turn, session: ThreadSession, keeper: Keeper, reply: Reply, patience: Patience, stop: asyncio.Event
    ) -> Outcome:
        saved = reply.reference

        async def save(step: Step) -> None:
            nonlocal saved
            await patience.keep(lambda: self._store.save_step(lease, turn.id, step))
            self._recorder.note(*news(turn, step))
            if reply.reference != saved:
                saved = reply.reference
                await patience.keep(lambda: self._store.save_reply(lease, turn.id, saved))
            if step.ran:
                session.mark = step_mark(turn.id, step.index)
                if turn.incoming.kind is not Kind.REBUILD:
                    keeper.keep()

        try:
            async with seen(self._store, lease, turn, reply.show) as show:
                past = await patience.keep(lambda: self._store.turns(lease.thread, last=PAST_TURNS))
                self._deliveries.settle(past, turn.incoming)
                if turn.incoming.kind is Kind.REBUILD:
                    replay = Replay(limits=self._loop.limits, bounds=self._loop.bounds, redactor=self._loop.redactor)
                    work = Rebuild(store=self._store, replay=replay, session=session, keeper=keeper, patience=patience)
                    return await work.turn(turn, save=save, show=show, stop=stop)
                if turn.incoming.kind is Kind.APPROVAL:
                    await self._recorder.written()
                if isinstance(approved := granted(turn, past), Outcome):
                    return approved
                for file in turn.incoming.files:
                    await session.put(replace(file, data=file.data or await patience.keep(partial(self._store.load_file, file.digest))))
                if turn.incoming.files:
                    keeper.keep()
                done = await self._loop.turn(turn, past, session, save=save, show=show, stop=stop, approved=approved)
        except (LeaseLost, StoreUnavailable):
            raise
        except CodeactError as error:
            return Outcome(ending=Ending.FAILED, text=str(error))
        except Exception:
            log.exception("The turn failed", extra={"action": "turn", "conversation": lease.thread, "turn": turn.id})
            return Outcome(ending=Ending.FAILED, text=f"Something went wrong inside the bot; its log has the details under turn {turn.id}.")
        assert done.outcome is not None
        return done.outcome

    @asynccontextmanager
    async def _held(self, lease: Lease) -> AsyncIterator[asyncio.Event]:
        """Renew the lease beside the body; a lost lease cancels the body and raises LeaseLost.

        After a failure the lease is left to end by itself, so that the turn is tried again a little later and not at once.
        """
        stop = self._stops[lease.thread] = asyncio.Event()
        body = asyncio.current_task()
        assert body is not None
        lost = failed = False

        async def renew() -> None:
            nonlocal lost
            try:
                await self._renew(lease, stop)
            except Exception as error:
                if not isinstance(error, CodeactError):
                    log.exception("Renewing a lease failed", extra={"action": "renew", "conversation": lease.thread})
                lost = True
                body.cancel()

        renewing = asyncio.create_task(renew(), name=f"lease {lease.thread}")
        try:
            yield stop
        except asyncio.CancelledError:
            if lost:
                body.uncancel()
                raise LeaseLost(f"The lease on {lease.thread} was lost; another worker goes on with its turn.") from None
            raise
        except Exception:
            failed = True
            raise
        finally:
            if self._stops.get(lease.thread) is stop:  # or this worker has claimed the thread again meanwhile
                del self._stops[lease.thread]
            renewing.cancel()
            await asyncio.wait([renewing])
            if not lost and not failed:
                await to_the_end(self._store.release(lease))

    async def _renew(self, lease: Lease, stop: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if await self._store.stop_asked(lease):
                    stop.set()
                if clock() - renewed >= LEASE_SECONDS / 3:
                    asked = clock()
                    lease, renewed = await self._store.renew(lease, LEASE_SECONDS), asked
            except StoreUnavailable:
                if clock() - renewed >= LEASE_SECONDS:
                    raise
