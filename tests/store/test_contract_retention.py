"""What every Store promises of removal: retention, legal hold, a person's data; over the memory store and the real MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from codeact_bot.audit import asked, turn_entries
from codeact_bot.errors import FileRefused, ThreadNotFound, TurnNotFound
from codeact_bot.ports import Store
from codeact_bot.types import Author, Deed, Entry, File, Part, Query, Snapshot, ThreadId, Trail, Turn, now, step_mark
from codeact_bot.verify import verify
from tests.store.make import ANN, ANSWERED, ANY, BOB, MINUTE, ONE, TWO, begun, claimed, message, ran, step

MINE, SHARED, PLOT = (File.of(name, name.encode()) for name in ("mine.csv", "shared.csv", "plot.png"))
NEEDLE = "zebra"


async def recorded(store: Store, name: str, thread: ThreadId = ONE, author: Author = ANN, *files: File) -> Turn:
    """A turn with files in and out, its state, and its records."""
    out = replace(ran(f"{NEEDLE}\n"), images=(PLOT,) if author == ANN else (), files=tuple(files))
    assert await store.push(message(name, thread, f"{NEEDLE} of {author.name}", author, tuple(files)))
    lease = await claimed(store)
    turn = await store.open_turn(lease)
    await store.save_step(lease, turn.id, step(0, f"{NEEDLE} = 1", execution=out))
    await store.save_snapshot(lease, Snapshot(parts=(Part.of(f"state {name}".encode()),), mark=step_mark(turn.id, 0)))
    ended = await store.end_turn(lease, turn.id, replace(ANSWERED, text=f"{NEEDLE}!"))
    await store.keep_state(lease, turn.id)
    await store.release(lease)
    await store.append(turn_entries(ended))
    return ended


async def left(store: Store) -> list[str]:
    return sorted(run.turn for run in (await store.search(Query())).runs)


async def gone(store: Store, turn: Turn) -> None:
    """Nothing of the turn is left but its records' places in the chain."""
    with pytest.raises(TurnNotFound):
        await store.turn(turn.id)
    assert turn.id not in await left(store)
    assert (await store.records(Trail(turn=turn.id))).records == ()


async def test_one_persons_data_goes_and_that_of_others_stays(store: Store) -> None:
    ann = [await recorded(store, "a1", ONE, ANN, MINE, SHARED), await recorded(store, "a2", TWO, ANN)]
    bob = await recorded(store, "b1", ONE, BOB, SHARED)
    await store.append([Entry(kind=Deed.REFUSED, author=ANN, text=NEEDLE), Entry(kind=Deed.REFUSED, author=BOB, key="bob")])
    await store.move("place of two", TWO)
    await store.permit(ONE, ANN.id)
    erased = await store.forget(ANN.id)
    assert (erased.turns, erased.messages, erased.threads, erased.records, erased.held, erased.busy) == (2, 0, 1, 11, (), ())
    for turn in ann:
        await gone(store, turn)
    assert await left(store) == [bob.id]
    thread = await store.thread(ONE)
    assert (thread.title, thread.participants, thread.people, thread.permitted) == (f"{NEEDLE} of Bob Day", ("Bob Day",), ("U2",), ())
    with pytest.raises(ThreadNotFound):
        await store.thread(TWO)
    assert await store.conversation("place of two") is None
    everything = [await store.thread(ONE), await store.turns(ONE), (await store.records(Trail(limit=99))).records]
    assert "Ann" not in repr(everything)
    verdict = await verify(store)
    assert (verdict.faults, verdict.erased) == ((), 11)
    assert [each.entry.key for each in (await store.records(Trail(kind=Deed.REFUSED))).records if each.entry.author] == ["bob"]


async def test_bytes_go_with_their_last_user_and_not_before(store: Store) -> None:
    await recorded(store, "a1", ONE, ANN, MINE, SHARED)
    await recorded(store, "b1", TWO, BOB, SHARED)
    await store.forget(ANN.id)
    assert await store.sweep() == 0, "they were saved a moment ago"
    assert await store.sweep(0) == 2
    for file in (MINE, PLOT):
        with pytest.raises(FileRefused):
            await store.load_file(file.digest)
    assert await store.load_file(SHARED.digest) == b"shared.csv"
    await store.forget(BOB.id)
    assert await store.sweep(0) == 1
    with pytest.raises(FileRefused):
        await store.load_file(SHARED.digest)
    assert await store.sweep(0) == 0


async def test_bytes_that_wait_in_a_question_stay(store: Store) -> None:
    await recorded(store, "a1", ONE, ANN, MINE)
    await store.push(message("b1", TWO, author=BOB, files=(MINE,)))
    await store.forget(ANN.id)
    await store.sweep(0)
    assert await store.load_file(MINE.digest) == b"mine.csv"


async def test_bytes_that_are_saved_again_at_that_moment_stay(store: Store) -> None:
    for number in range(20):
        await recorded(store, f"a{number}", ONE, ANN, MINE)
        await store.forget(ANN.id)
        await store.push(message("gap", TWO, author=BOB))
        lease = await claimed(store)
        turn = await store.open_turn(lease)

        async def save(lease=lease, turn=turn, number=number) -> None:
            await asyncio.sleep(0.001 * (number % 7))
            await store.save_step(lease, turn.id, step(execution=replace(ran(), files=(MINE,))))

        await asyncio.gather(save(), *(store.sweep(0.5) for _ in range(3)))
        assert await store.load_file(MINE.digest) == b"mine.csv"
        await store.end_turn(lease, turn.id, ANSWERED)
        await store.release(lease)
        await store.forget(BOB.id)
        await store.sweep(0)
        with pytest.raises(FileRefused):
            await store.load_file(MINE.digest)


async def test_the_state_that_a_person_left_goes_and_old_sandboxes_give_way(store: Store) -> None:
    await recorded(store, "a1", ONE, ANN)
    bob = await recorded(store, "b1", ONE, BOB)
    await store.forget(ANN.id)
    assert await store.load_snapshot(ONE) == Snapshot(parts=(), behind=True)
    await store.push(message("b2", ONE, author=BOB))
    lease = await claimed(store)
    assert lease.ran not in ("", step_mark(bob.id, 0)), "a warm sandbox would still hold what the person left"
    await store.release(lease)
    fork = ThreadId("slack:T1:C1:fork")
    await store.fork(ONE, fork, 1)
    kept = await store.load_snapshot(fork)
    assert kept is None or not kept.parts


async def test_messages_that_wait_are_forgotten_too_and_others_are_answered(store: Store) -> None:
    await recorded(store, "a1", ONE, ANN)
    await store.push(message("a2", ONE, NEEDLE, ANN, (MINE,)))
    await store.push(message("b1", ONE, author=BOB))
    erased = await store.forget(ANN.id)
    assert (erased.turns, erased.messages) == (1, 1)
    assert [each.id for each in await store.pending(ONE)] == ["b1"]
    assert (await claimed(store)).incoming.id == "b1"
    await store.sweep(0)
    with pytest.raises(FileRefused):
        await store.load_file(MINE.digest)


async def test_a_turn_that_a_dead_worker_left_open_is_forgotten(store: Store) -> None:
    lease, turn = await begun(store, message("a1", ONE, NEEDLE, ANN))
    await store.save_step(lease, turn.id, step())
    await store.append([asked(turn)])
    await store.renew(lease, 0)
    await store.forget(ANN.id)
    await gone(store, turn)
    with pytest.raises(ThreadNotFound):
        await store.thread(ONE)
    assert await store.claim("w", MINUTE, ANY) is None


async def test_a_conversation_in_which_a_question_is_answered_is_let_be_for_now(store: Store) -> None:
    lease, turn = await begun(store, message("a1", ONE, NEEDLE, ANN))
    assert (await store.forget(ANN.id)).busy == (ONE,)
    await store.end_turn(lease, turn.id, ANSWERED)
    assert (await store.forget(ANN.id)).busy == (ONE,)
    await store.release(lease)
    erased = await store.forget(ANN.id)
    assert (erased.busy, erased.turns, erased.threads) == ((), 1, 1)
    await gone(store, turn)


async def test_a_prefix_and_an_id_like_another_forget_nobody_else(store: Store) -> None:
    slack, discord = await recorded(store, "a1", ONE, ANN), await recorded(store, "a2", TWO, ANN)
    other = await recorded(store, "c1", ThreadId("slack:T1:C1:5"), Author(id="u1", name="U1"))
    await store.append([Entry(kind=Deed.REFUSED, author=ANN, thread=TWO, key="there"), Entry(kind=Deed.REFUSED, author=ANN, thread=ONE, key="here")])
    assert (await store.forget(ANN.id, prefix="slack:")).turns == 1
    assert await left(store) == sorted([discord.id, other.id])
    assert [each.entry.key for each in (await store.records(Trail(kind=Deed.REFUSED, person=ANN.id))).records] == ["there"]
    await gone(store, slack)


async def test_what_is_on_hold_stays_until_it_is_released(store: Store) -> None:
    held, free = await recorded(store, "a1", ONE, ANN, MINE), await recorded(store, "a2", TWO, ANN)
    await store.append([Entry(kind=Deed.REFUSED, author=ANN, thread=ONE)])
    await store.hold(ONE, on=True)
    assert (await store.thread(ONE)).hold
    erased = await store.forget(ANN.id)
    assert (erased.held, erased.turns) == ((ONE,), 1)
    await gone(store, free)
    assert (await store.expire(now() + timedelta(days=1))).turns == 0
    await store.sweep(0)
    assert await store.turn(held.id) == held
    assert await store.load_file(MINE.digest) == b"mine.csv"
    assert len((await store.records(Trail(thread=ONE))).records) == 6
    assert await store.load_snapshot(ONE) is not None
    await store.hold(ONE, on=False)
    assert (await store.forget(ANN.id)).turns == 1
    await gone(store, held)
    with pytest.raises(ThreadNotFound):
        await store.hold(ONE, on=True)


async def test_questions_go_by_age_and_the_conversation_goes_on(store: Store) -> None:
    old = await recorded(store, "a1", ONE, ANN, MINE)
    await asyncio.sleep(0.01)
    between = now()
    await asyncio.sleep(0.01)
    new = await recorded(store, "a2", ONE, BOB)
    erased = await store.expire(between)
    assert (erased.turns, erased.threads, erased.records) == (1, 0, 5)
    await gone(store, old)
    assert [turn.id for turn in await store.turns(ONE)] == [new.id]
    assert (await store.thread(ONE)).title == f"{NEEDLE} of Bob Day"
    snapshot = await store.load_snapshot(ONE)
    assert snapshot is not None
    assert snapshot.parts, "the conversation goes on with its state"
    assert (await store.expire(between)).turns == 0
    assert (await store.expire(now() + timedelta(days=1))).threads == 1
    assert (await store.expire(now() + timedelta(days=1))) == await store.expire(now() + timedelta(days=1))
    assert (await verify(store)).faults == ()


async def test_each_platform_has_its_age(store: Store) -> None:
    slack, discord, web = [await recorded(store, name, ThreadId(f"{name}:1")) for name in ("slack", "discord", "web")]
    await store.append([Entry(kind=Deed.REFUSED, thread=ThreadId(f"{name}:9"), key=name) for name in ("slack", "discord", "web")])
    later = now() + timedelta(days=1)
    await store.expire(later, platform="slack")
    assert await left(store) == sorted([discord.id, web.id])
    await store.expire(later, other_than=("slack", "web"))
    assert await left(store) == [web.id]
    assert [each.entry.key for each in (await store.records(Trail(kind=Deed.REFUSED))).records if each.entry.thread] == ["web"]


async def test_several_workers_remove_at_once_and_the_chain_holds(store: Store) -> None:
    for number in range(6):
        await recorded(store, f"a{number}", ThreadId(f"web:{number}"))
    found = await asyncio.gather(*(store.expire(now() + timedelta(days=1)) for _ in range(4)))
    found += [await store.expire(now() + timedelta(days=1))]
    assert await left(store) == []
    assert sum(each.threads for each in found) == 6
    assert (await verify(store)).faults == ()
    assert await store.threads(limit=9) == []
