"""What a running turn shows of the step under way, in every store: fenced, fleeting, without secrets."""

from __future__ import annotations

import asyncio

from codeact_bot.ports import Store
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Glimpse, Lease, Turn
from tests.store import make
from tests.store.make import ANSWERED, ONE, begun, claimed

THINKING = Glimpse(step=0, running=False, thought="Let me s")
PRINTING = Glimpse(step=0, running=True, output="tick 3\n", cut=7, notices=("A fallback.",))


async def seen(store: Store, turn: Turn) -> Glimpse | None:
    return await store.glimpse(ONE, turn.id)


async def overtaken(store: Store) -> tuple[Lease, Lease, Turn]:
    """A worker whose lease is over, the next one's lease, and their turn."""
    assert await store.push(make.message())
    old = await store.claim("worker-1", 0.2, make.ANY)
    assert old is not None
    turn = await store.open_turn(old)
    assert await store.save_glimpse(old, turn.id, THINKING)
    await asyncio.sleep(0.3)
    return old, await claimed(store, "worker-2"), turn


async def test_it_lasts_until_the_step_goes_on(store: Store) -> None:
    lease, turn = await begun(store)
    assert await seen(store, turn) is None
    assert await store.save_glimpse(lease, turn.id, THINKING)
    assert await seen(store, turn) == THINKING
    await store.save_step(lease, turn.id, make.step())
    assert await seen(store, turn) is None, "the open step has the thought"
    assert not await store.save_glimpse(lease, turn.id, THINKING), "it comes too late"
    assert await store.save_glimpse(lease, turn.id, PRINTING)
    assert await seen(store, turn) == PRINTING
    await store.save_step(lease, turn.id, make.step(execution=make.ran()))
    assert await seen(store, turn) is None, "the step has the output"
    assert not await store.save_glimpse(lease, turn.id, PRINTING)
    assert not await store.save_glimpse(lease, turn.id, Glimpse(step=1, running=True, output="not begun"))
    assert await store.save_glimpse(lease, turn.id, Glimpse(step=1, running=False, thought="Then"))
    await store.end_turn(lease, turn.id, ANSWERED)
    assert await seen(store, turn) is None
    assert not await store.save_glimpse(lease, turn.id, Glimpse(step=1, running=False, thought="Too late"))
    await store.release(lease)


async def test_who_has_lost_the_lease_shows_nothing_and_what_it_showed_is_gone(store: Store) -> None:
    old, new, turn = await overtaken(store)
    assert not await store.save_glimpse(old, turn.id, THINKING)
    assert await seen(store, turn) == THINKING, "it is still the last that is known"
    assert (await store.open_turn(new)).resumed
    assert await seen(store, turn) is None
    assert await store.save_glimpse(new, turn.id, Glimpse(step=0, running=False, thought="Again"))
    assert not await store.save_glimpse(old, turn.id, THINKING)


async def test_of_code_that_a_dead_worker_ran_nothing_more_is_shown(store: Store) -> None:
    assert await store.push(make.message())
    old = await store.claim("worker-1", 0.2, make.ANY)
    assert old is not None
    turn = await store.open_turn(old)
    await store.save_step(old, turn.id, make.step())
    assert await store.save_glimpse(old, turn.id, PRINTING)
    await asyncio.sleep(0.3)
    new = await claimed(store, "worker-2")
    await store.open_turn(new)
    assert await seen(store, turn) is None


async def test_of_others_threads_and_turns_nothing_is_seen(store: Store) -> None:
    lease, turn = await begun(store)
    await store.save_glimpse(lease, turn.id, THINKING)
    assert await store.glimpse(make.TWO, turn.id) is None
    assert await store.glimpse(ONE, "another") is None


async def test_secrets_and_what_mongodb_cannot_write_are_left_out(store: Store) -> None:
    assert isinstance(store, MemoryStore | MongoStore)
    token = "xoxb-" + "1234567890-abcdefghij"
    lease, turn = await begun(store)
    await store.save_glimpse(lease, turn.id, Glimpse(step=0, running=False, thought=f"It is {token}.", notices=(token,)))
    found = await seen(store, turn)
    assert found is not None
    assert token not in str(found)
    assert "[redacted: Slack token]" in found.thought
    assert await store.save_glimpse(lease, turn.id, Glimpse(step=0, running=False, thought="\ud800 $where"))
