"""Queue, lease and history as a machine of states: whatever the order of calls, the store answers as a simple model does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule, run_state_machine_as_test

from codeact_bot.errors import LeaseLost
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author, Ending, Incoming, Lease, Outcome, ThreadId, now
from tests.store.make import ran, step

T = TypeVar("T")

THREADS = ("test:1", "test:2")
LONG = 3600.0


@dataclass
class Model:
    """One thread as it has to be."""

    pending: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    answered: list[str] = field(default_factory=list)
    token: int = 0
    held: bool = False
    open: str = ""
    """The message whose turn has begun."""
    steps: list[int] = field(default_factory=list)
    stop: str = ""


class Queue(RuleBasedStateMachine):
    """Calls in any order; `store` is made anew for each run."""

    make: ClassVar[Callable[[], Coroutine[Any, Any, Any]]]
    expire_in: ClassVar[Callable[[Any, str], Coroutine[Any, Any, None]]]
    loop: ClassVar[asyncio.AbstractEventLoop]
    leases = Bundle("leases")

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def open_store(self) -> None:
        self.store = self._do(type(self).make())
        self.threads = {name: Model() for name in THREADS}

    def _valid(self, lease: Lease) -> Model | None:
        thread = self.threads[lease.thread]
        return thread if thread.held and thread.token == lease.token else None

    @rule(thread=st.sampled_from(THREADS), name=st.integers(0, 6))
    def accept(self, thread: str, name: int) -> None:
        """A message, or the same once more."""
        incoming = Incoming(id=f"{thread}/{name}", thread=ThreadId(thread), author=Author(id="u", name="Ann"), text="Go.")
        fresh = self._do(self.store.push(incoming))
        model = self.threads[thread]
        assert fresh == (incoming.id not in model.seen)
        if fresh:
            model.seen.add(incoming.id)
            model.pending.append(incoming.id)

    @rule(target=leases, owner=st.sampled_from(["a", "b"]))
    def claim(self, owner: str) -> Any:
        lease = self._do(self.store.claim(owner, LONG, ("test:",)))
        free = [name for name, model in self.threads.items() if model.pending and not model.held]
        if not free:
            assert lease is None
            return multiple()
        assert lease is not None
        assert lease.thread in free
        model = self.threads[lease.thread]
        assert lease.incoming.id == model.pending[0], "the oldest first"
        assert lease.token > model.token, "tokens grow"
        model.token, model.held = lease.token, True
        return lease

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        self._fenced(lease, self.store.renew(lease, LONG))

    def _fenced(self, lease: Lease, work: Coroutine[Any, Any, T], *, valid: bool = True) -> T | None:
        """Do what only the holder may; `valid` says whether the rest fits, too."""
        if self._valid(lease) is not None and valid:
            return self._do(work)
        with pytest.raises(LeaseLost):
            self._do(work)
        return None

    @rule(lease=leases)
    def expire(self, lease: Lease) -> None:
        model = self._valid(lease)
        if model is not None:
            self._do(type(self).expire_in(self.store, lease.thread))
            model.held = False

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        model = self._valid(lease)
        self._fenced(lease, self.store.release(lease))
        if model is not None:
            model.held = False

    @rule(lease=leases)
    def begin(self, lease: Lease) -> None:
        self.open_turn(lease)

    def open_turn(self, lease: Lease) -> None:
        model = self.threads[lease.thread]
        if self._valid(lease) and lease.incoming.id not in model.pending:
            return  # its turn has ended; the service does not ask again
        turn = self._fenced(lease, self.store.open_turn(lease))
        if turn is not None:
            if model.open != lease.incoming.id:
                model.open, model.steps = lease.incoming.id, []
            assert [each.index for each in turn.steps] == sorted(model.steps)

    @rule(lease=leases, index=st.integers(0, 3), closed=st.booleans())
    def save(self, lease: Lease, index: int, closed: bool) -> None:
        self.save_step(lease, index, closed=closed)

    def save_step(self, lease: Lease, index: int, *, closed: bool) -> None:
        model = self.threads[lease.thread]
        name = self._turn(lease)
        mine = model.open == lease.incoming.id
        self._fenced(lease, self.store.save_step(lease, name, step(index, execution=ran() if closed else None)), valid=mine)
        if self._valid(lease) and mine and index not in model.steps:
            model.steps.append(index)

    @rule(lease=leases)
    def work(self, lease: Lease) -> None:
        """What a worker does in a row, so that deep states are not rare; a dead one's successor does it again."""
        self.open_turn(lease)
        self.save_step(lease, len(self.threads[lease.thread].steps) % 4, closed=True)
        self.open_turn(lease)

    @rule(lease=leases)
    def end_turn(self, lease: Lease) -> None:
        model = self.threads[lease.thread]
        mine = model.open == lease.incoming.id
        done = self._fenced(lease, self.store.end_turn(lease, self._turn(lease), Outcome(ending=Ending.ANSWERED, text="Yes.")), valid=mine)
        if done is not None:
            assert [each.index for each in done.steps] == sorted(model.steps)
            model.pending.remove(lease.incoming.id)
            model.answered.append(lease.incoming.id)
            model.open, model.steps = "", []

    @rule(thread=st.sampled_from(THREADS))
    def stop(self, thread: str) -> None:
        self._do(self.store.ask_stop(ThreadId(thread)))
        model = self.threads[thread]
        model.stop = model.pending[0] if model.pending else model.stop

    @rule(lease=leases)
    def stop_asked(self, lease: Lease) -> None:
        asked = self._fenced(lease, self.store.stop_asked(lease))
        if asked is not None and lease.incoming.id in self.threads[lease.thread].pending:
            assert asked == (self.threads[lease.thread].stop == lease.incoming.id)

    @rule(thread=st.sampled_from(THREADS), name=st.integers(0, 6))
    def withdraw(self, thread: str, name: int) -> None:
        incoming, model = f"{thread}/{name}", self.threads[thread]
        gone = self._do(self.store.withdraw(ThreadId(thread), incoming))
        assert gone == (incoming in model.pending and model.open != incoming)
        if gone:
            model.pending.remove(incoming)

    @staticmethod
    def _turn(lease: Lease) -> str:
        from codeact_bot.store import records

        return records.turn_id(lease.incoming)

    @invariant()
    def the_store_agrees(self) -> None:
        for name, model in self.threads.items():
            assert [each.id for each in self._do(self.store.pending(ThreadId(name)))] == model.pending
            assert [each.incoming.id for each in self._do(self.store.turns(ThreadId(name)))] == model.answered

    def teardown(self) -> None:
        self._do(self.store.aclose())


async def expire_in_memory(store: MemoryStore, thread: str) -> None:
    store._threads[ThreadId(thread)].until = now() - timedelta(seconds=1)


async def expire_in_mongo(store: MongoStore, thread: str) -> None:
    await store._threads.update_one({"_id": thread}, [{"$set": {"lease.until": {"$subtract": ["$$NOW", 1000]}}}])


@pytest.fixture
def loop() -> Any:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_the_memory_store_is_the_model(loop: Any) -> None:
    async def make() -> MemoryStore:
        return MemoryStore()

    machine = type("Memory", (Queue,), {"make": staticmethod(make), "expire_in": staticmethod(expire_in_memory), "loop": loop})
    run_state_machine_as_test(machine, settings=settings(max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=QUIET))


@pytest.mark.needs("mongo")
def test_mongo_is_the_model(loop: Any, mongo_url: str, database: str) -> None:
    async def make() -> MongoStore:
        store = await MongoStore.open(mongo_url, database)
        for name in ("threads", "turns", "steps", "owed", "places"):
            await store._database[name].delete_many({})
        return store

    machine = type("Mongo", (Queue,), {"make": staticmethod(make), "expire_in": staticmethod(expire_in_mongo), "loop": loop})
    run_state_machine_as_test(machine, settings=settings(max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=QUIET))
