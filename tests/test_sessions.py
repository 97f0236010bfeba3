"""Warm sandboxes: the pool, one session per thread, replacement after a loss, and nothing left when it is closed at any moment."""

import asyncio
import contextlib
import os
import signal

import pytest

from codeact_bot.errors import SandboxUnavailable
from codeact_bot.pool import Pool
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.sessions import Sessions
from codeact_bot.store.memory import MemoryStore
from codeact_bot.thread_session import GONE_KEPT
from codeact_bot.types import Author, Bounds, File, Incoming, Status, ThreadId

ONE, TWO = ThreadId("test:1"), ThreadId("test:2")


class Counting(ProcessSandbox):
    """The real process sandbox; remembers its sessions, and can be made to fail or to wait."""

    def __init__(self):
        super().__init__(isolation="plain")
        self.sessions = []
        self.labels = []
        self.broken = self.mistaken = False
        self.doomed = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self, label):
        self.labels.append(label)
        await self.gate.wait()
        if self.broken:
            raise SandboxUnavailable("There is no sandbox today. Come back tomorrow.")
        if self.mistaken:
            raise KeyError("a mistake")
        session = await super().start(label)
        self.sessions.append(session)
        if self.doomed:
            self.doomed -= 1
            os.kill(session._channel._process.pid, signal.SIGKILL)
        return session

    @property
    def alive(self):
        return sum(session.alive for session in self.sessions)


@pytest.fixture
async def sandbox():
    made = Counting()
    yield made
    assert made.alive == 0, "a sandbox was left running"
    await made.aclose()


@pytest.fixture
async def store():
    return MemoryStore()


async def ignore(text):
    pass


async def run(session, code):
    return await session.run(code, seconds=20, bounds=Bounds(), printed=ignore)


async def leased(store, thread):
    """Return a lease on a thread, under which its state can be saved."""
    await store.push(Incoming(id=f"m-{thread}", thread=thread, author=Author(id="u", name="Ann"), text="Go."))
    return await store.claim("w", 60, (thread,))


async def test_the_pool_hands_out_what_is_ready_and_fills_up_again(sandbox):
    pool = Pool(sandbox, 1)
    pool.fill()
    await pool.filled()
    ready = sandbox.sessions[0]
    assert await pool.take("a") is ready
    await pool.filled()
    assert sandbox.labels == ["pool", "pool"]
    second = await pool.take("b")
    assert second is not ready, "no sandbox is handed out twice"
    await asyncio.gather(ready.aclose(), second.aclose(), pool.aclose())


async def test_a_dead_one_is_never_handed_out(sandbox):
    pool = Pool(sandbox, 1)
    pool.fill()
    await pool.filled()
    await sandbox.sessions[0].aclose()
    taken = await pool.take("a")
    assert taken.alive
    await asyncio.gather(taken.aclose(), pool.aclose())


async def test_a_pool_that_cannot_be_filled_says_so_and_goes_on(sandbox, caplog):
    sandbox.broken = True
    pool = Pool(sandbox, 2)
    pool.fill()
    await pool.filled()
    assert "There is no sandbox today" in caplog.text
    sandbox.broken = False
    taken = await pool.take("a")
    await asyncio.gather(taken.aclose(), pool.aclose())


async def test_closing_the_pool_while_it_fills_leaves_nothing(sandbox):
    pool = Pool(sandbox, 3)
    pool.fill()
    while not sandbox.sessions:
        await asyncio.sleep(0.01)
    await pool.aclose()


async def test_each_thread_has_its_own_variables(sandbox, store):
    async with Sessions(sandbox, store, pool=0) as sessions:
        await run(sessions.of(ONE), "x = 1")
        assert (await run(sessions.of(ONE), "x")).value == "1"
        assert (await run(sessions.of(TWO), "x")).error.type == "NameError"
        assert len(sandbox.sessions) == 2


async def test_after_a_loss_the_next_run_has_the_saved_state_and_says_so(sandbox, store):
    lease = await leased(store, ONE)
    async with Sessions(sandbox, store, pool=0) as sessions:
        session = sessions.of(ONE)
        await run(session, "kept = 41\nopen('kept.txt', 'w').write('file')")
        await store.save_snapshot(lease, await session.snapshot())
        await run(session, "later = 1")
        await session.put(File.of("given.csv", b"a,b"))
        await sandbox.sessions[0].aclose()
        after = await run(session, "print(kept, open('kept.txt').read(), open('given.csv').read(), 'later' in globals())")
        assert after.output == "41 file a,b False\n"
        assert after.notes == (GONE_KEPT,)
        assert (await run(session, "1")).notes == ()
        assert len(sandbox.sessions) == 2


async def test_what_could_not_be_kept_is_named(sandbox, store):
    lease = await leased(store, ONE)
    async with Sessions(sandbox, store, pool=0) as sessions:
        await run(sessions.of(ONE), "import threading\nx = 1\nlock = threading.Lock()")
        await store.save_snapshot(lease, await sessions.of(ONE).snapshot())
        await sessions.forget(ONE)
        after = await run(sessions.of(ONE), "x")
    assert after.value == "1"
    assert any("without lock" in note for note in after.notes)


async def test_a_lost_execution_closes_its_sandbox(sandbox, store):
    async with Sessions(sandbox, store, pool=0) as sessions:
        session = sessions.of(ONE)
        running = asyncio.create_task(run(session, "while True: pass"))
        while not sandbox.sessions:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        await sandbox.sessions[0].aclose()
        assert (await running).status is Status.LOST
        assert (await run(session, "1")).value == "1"


async def test_a_start_that_failed_is_tried_again(sandbox, store):
    sandbox.broken = True
    async with Sessions(sandbox, store, pool=0) as sessions:
        with pytest.raises(SandboxUnavailable):
            await run(sessions.of(ONE), "1")
        assert not sessions.of(ONE).started
        sandbox.broken = False
        assert (await run(sessions.of(ONE), "1")).value == "1"


async def test_closing_during_a_start_leaves_nothing(sandbox, store):
    for delay in (0.0, 0.02, 0.1, 0.3):
        async with Sessions(sandbox, store, pool=1) as sessions:
            sessions.of(ONE)
            await asyncio.sleep(delay)


async def test_a_run_that_waits_for_a_start_can_be_cancelled_and_the_start_goes_on(sandbox, store):
    async with Sessions(sandbox, store, pool=0) as sessions:
        sandbox.gate.clear()
        waiting = asyncio.create_task(run(sessions.of(ONE), "1"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        sandbox.gate.set()
        assert (await run(sessions.of(ONE), "2")).value == "2"
        assert len(sandbox.sessions) == 1


async def test_a_sandbox_that_is_taken_away_while_it_starts_is_followed_by_another(sandbox, store):
    async with Sessions(sandbox, store, pool=0) as sessions:
        session = sessions.of(ONE)
        await run(session, "kept = 42")
        await store.save_snapshot(await leased(store, ONE), await session.snapshot())
        await sessions.forget(ONE)
        sandbox.doomed = 2
        execution = await run(sessions.of(ONE), "print(kept)")
        assert (execution.status, execution.output) == (Status.OK, "42\n")
        assert len(sandbox.sessions) == 4


async def test_a_fault_of_ours_while_the_pool_fills_is_logged_and_the_next_sandbox_is_started_all_the_same(sandbox, caplog):
    pool = Pool(sandbox, 1)
    sandbox.mistaken = True
    pool.fill()
    await pool.filled()
    assert "a mistake" in caplog.text
    sandbox.mistaken = False
    assert (await pool.take("a")).alive
    await pool.filled()
    await asyncio.gather(*(session.aclose() for session in sandbox.sessions))
    await pool.aclose()
