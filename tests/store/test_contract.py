"""What every Store promises, over the memory store and the real MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from codeact_bot.errors import FileRefused, LeaseLost, ThreadNotFound
from codeact_bot.ports import Store
from codeact_bot.store import records
from codeact_bot.types import (
    Answer,
    Ending,
    Execution,
    File,
    Lease,
    Malformed,
    Outcome,
    Part,
    Query,
    Snapshot,
    Status,
    Table,
    ThreadId,
    Turn,
    now,
    step_mark,
)
from tests.store.make import ANN, ANSWERED, ANY, BOB, MINUTE, ONE, TWO, answered, begun, claimed, message, ran, step

FAILED = Outcome(ending=Ending.FAILED, text="The model gave up.")


async def test_a_message_is_queued_once(store: Store) -> None:
    assert await store.push(message())
    assert not await store.push(message())
    assert [each.id for each in await store.pending(ONE)] == ["e1"]


async def test_of_concurrent_deliveries_one_is_new(store: Store) -> None:
    assert sorted(await asyncio.gather(*(store.push(message()) for _ in range(8)))) == [False] * 7 + [True]
    assert sorted(await asyncio.gather(*(store.push(message("e2")) for _ in range(8)))) == [False] * 7 + [True]
    assert len(await store.pending(ONE)) == 2


async def test_concurrent_first_messages_of_a_thread_are_all_kept(store: Store) -> None:
    assert all(await asyncio.gather(*(store.push(message(f"e{number}")) for number in range(8))))
    assert sorted(each.id for each in await store.pending(ONE)) == [f"e{number}" for number in range(8)]


async def test_an_answered_message_is_recognised_for_ever(store: Store) -> None:
    await answered(store, message())
    for number in range(210):
        await store.push(message(f"later {number}"))
    assert not await store.push(message())


async def test_a_message_comes_back_as_it_was_sent(store: Store) -> None:
    sent = message(text="$where {$ne: 1} 'x' \0 🐍", author=BOB, files=(File.of("sub/a.csv", b"1,2"),))
    await store.push(sent)
    [queued] = await store.pending(ONE)
    assert queued == replace(sent, files=(replace(sent.files[0], data=None),))
    assert await store.load_file(sent.files[0].digest) == b"1,2"


async def test_a_text_too_long_for_the_queue_is_refused_in_words(store: Store) -> None:
    with pytest.raises(FileRefused, match="Send the long part as a file"):
        await store.push(message(text="x" * 1_100_000))
    assert await store.pending(ONE) == []


async def test_nothing_waits_in_an_unknown_thread(store: Store) -> None:
    assert await store.pending(ONE) == []
    assert await store.turns(ONE) == []
    assert await store.load_snapshot(ONE) is None
    assert await store.undo(ONE) is None
    await store.ask_stop(ONE)
    assert await store.threads(limit=5) == []
    with pytest.raises(ThreadNotFound, match="history"):
        await store.thread(ONE)


async def test_the_thread_that_waits_longest_is_claimed_first(store: Store) -> None:
    for name, thread in (("a", TWO), ("b", ONE), ("c", TWO)):
        await store.push(message(name, thread))
        await asyncio.sleep(0.005)
    leases = [await claimed(store), await claimed(store)]
    assert [(lease.thread, lease.incoming.id) for lease in leases] == [(TWO, "a"), (ONE, "b")]
    assert await store.claim("worker-2", MINUTE, ANY) is None


async def test_a_later_message_waits_behind_older_ones_of_other_threads(store: Store) -> None:
    for name, thread in (("a", TWO), ("b", ONE), ("c", TWO)):
        await store.push(message(name, thread))
        await asyncio.sleep(0.005)
    lease = await claimed(store)
    await store.end_turn(lease, (await store.open_turn(lease)).id, ANSWERED)
    await store.release(lease)
    assert [(await claimed(store)).incoming.id, (await claimed(store)).incoming.id] == ["b", "c"]


async def test_only_threads_with_a_wanted_prefix_are_claimed(store: Store) -> None:
    await store.push(message(thread=TWO))
    assert await store.claim("w", MINUTE, ("slack:", "web.")) is None
    assert await store.claim("w", MINUTE, ()) is None
    assert await store.claim("w", MINUTE, ("slack:", "discord:")) is not None


async def test_of_concurrent_claims_one_wins(store: Store) -> None:
    await store.push(message())
    leases = await asyncio.gather(*(store.claim(f"worker-{number}", MINUTE, ANY) for number in range(8)))
    assert sum(lease is not None for lease in leases) == 1


async def test_every_claim_has_a_higher_token(store: Store) -> None:
    await store.push(message())
    first = await claimed(store)
    await store.release(first)
    second = await claimed(store, "worker-2")
    assert (first.token, second.token, second.owner) == (1, 2, "worker-2")
    assert second.until > now() - timedelta(seconds=MINUTE)


async def test_a_lease_that_ended_can_be_taken_over_and_does_nothing_more(store: Store) -> None:
    await store.push(message())
    dead = await claimed(store)
    turn = await store.open_turn(dead)
    await store.save_step(dead, turn.id, step())
    await store.save_reply(dead, turn.id, "post 1")
    dead = await store.renew(dead, 0)
    lease = await claimed(store, "worker-2")
    taken = await store.open_turn(lease)
    assert (taken.id, taken.reply) == (turn.id, "post 1")
    assert [(each.index, each.execution) for each in taken.steps] == [(0, None)]
    await _refused(store, dead, turn.id)
    await store.save_step(lease, turn.id, step(execution=ran()))
    ended = await store.end_turn(lease, turn.id, ANSWERED)
    assert [each.execution for each in ended.steps] == [ran()]


async def test_a_lease_that_ended_is_lost_even_when_nobody_took_the_thread(store: Store) -> None:
    lease, turn = await begun(store)
    await _refused(store, await store.renew(lease, 0), turn.id)


async def test_a_lease_of_another_owner_with_the_same_token_is_refused(store: Store) -> None:
    lease, turn = await begun(store)
    await _refused(store, replace(lease, owner="impostor"), turn.id)


async def _refused(store: Store, lease: Lease, turn_id: str) -> None:
    """Every write with this lease raises LeaseLost and changes nothing."""
    snapshot = Snapshot(parts=(Part.of(b"stale"),), names=(), dropped=())
    before = await store.pending(lease.thread)
    for write in (
        lambda: store.save_step(lease, turn_id, step(7)),
        lambda: store.save_reply(lease, turn_id, "stale"),
        lambda: store.end_turn(lease, turn_id, ANSWERED),
        lambda: store.save_snapshot(lease, snapshot),
        lambda: store.open_turn(lease),
        lambda: store.renew(lease, MINUTE),
        lambda: store.stop_asked(lease),
        lambda: store.release(lease),
    ):
        with pytest.raises(LeaseLost):
            await write()
    assert await store.pending(lease.thread) == before
    assert await store.load_snapshot(lease.thread) is None
    assert all(len(turn.steps) < 2 and turn.reply != "stale" for turn in await store.find(Query(thread=lease.thread)))


async def test_a_released_thread_is_free_at_once_and_keeps_its_message(store: Store) -> None:
    await store.push(message())
    await store.release(await claimed(store))
    assert (await claimed(store, "worker-2")).incoming.id == "e1"


async def test_renewing_moves_the_end(store: Store) -> None:
    await store.push(message())
    lease = await claimed(store)
    assert (await store.renew(lease, 2 * MINUTE)).until > lease.until


async def test_a_stop_is_for_the_message_at_the_head(store: Store) -> None:
    lease, turn = await begun(store)
    await store.push(message("e2"))
    assert not await store.stop_asked(lease)
    await store.ask_stop(ONE)
    assert await store.stop_asked(lease)
    await store.end_turn(lease, turn.id, Outcome(ending=Ending.STOPPED, text="Stopped."))
    await store.release(lease)
    assert not await store.stop_asked(await claimed(store))


async def test_a_stop_outlives_the_worker_that_should_have_heard_it(store: Store) -> None:
    lease, _ = await begun(store)
    await store.ask_stop(ONE)
    await store.renew(lease, 0)
    assert await store.stop_asked(await claimed(store, "worker-2"))


async def test_a_stop_with_nothing_to_stop_does_not_hit_a_later_message(store: Store) -> None:
    await answered(store, message())
    await store.ask_stop(ONE)
    await store.push(message("e2"))
    assert not await store.stop_asked(await claimed(store))


async def test_a_closed_step_replaces_its_open_self_and_never_the_other_way_round(store: Store) -> None:
    lease, turn = await begun(store)
    await store.save_step(lease, turn.id, step())
    await store.save_step(lease, turn.id, step(execution=ran()))
    await store.save_step(lease, turn.id, step())
    answer = replace(step(1), action=Answer(text="4"))
    await store.save_step(lease, turn.id, answer)
    ended = await store.end_turn(lease, turn.id, ANSWERED)
    assert [each.execution for each in ended.steps] == [ran(), None]


async def test_a_turn_comes_back_as_it_was_written(store: Store) -> None:
    image, file = File.of("plot.png", b"\x89PNG"), File.of("out/a.txt", b"text")
    table = Table(columns=("a.b", "$c"), rows=(("1", "2"),), total_rows=10, total_columns=2)
    run = Execution(
        status=Status.KILLED, output="x" * 300_000, cut=5, value="1", tables=(table,), images=(image,), files=(file,), notes=("n",), lost=("x",), state_lost=True
    )
    steps = (step(execution=run), replace(step(1), action=Malformed(thought="t", code="c", reason="r"), hint="h"), replace(step(2), action=Answer(text="a")))
    ended = await answered(store, message(), *steps)
    bare = replace(run, images=(replace(image, data=None),), files=(replace(file, data=None),))
    assert ended.steps == (replace(steps[0], execution=bare), *steps[1:])
    assert (ended.incoming, ended.outcome) == (replace(message(), at=ended.incoming.at), ANSWERED)
    assert await store.turns(ONE) == [ended]
    assert await store.find(Query()) == [ended]
    assert [await store.load_file(each.digest) for each in (image, file)] == [b"\x89PNG", b"text"]


async def test_steps_beyond_ten_keep_their_order(store: Store) -> None:
    ended = await answered(store, message(), *(step(index, execution=ran()) for index in reversed(range(12))))
    assert [each.index for each in ended.steps] == list(range(12))


async def test_a_turn_ends_once(store: Store) -> None:
    lease, turn = await begun(store)
    await store.end_turn(lease, turn.id, ANSWERED)
    with pytest.raises(LeaseLost):
        await store.end_turn(lease, turn.id, FAILED)
    with pytest.raises(LeaseLost):
        await store.save_step(lease, turn.id, step())
    assert [each.outcome for each in await store.turns(ONE)] == [ANSWERED]
    assert await store.pending(ONE) == []


async def test_the_last_turns_are_the_newest_in_order(store: Store) -> None:
    for number in range(4):
        await answered(store, message(f"e{number}"))
    names = [[turn.incoming.id for turn in await store.turns(ONE, last=last)] for last in (None, 2, 9, 0)]
    assert names == [["e0", "e1", "e2", "e3"], ["e2", "e3"], ["e0", "e1", "e2", "e3"], []]


async def test_an_open_turn_is_not_yet_history(store: Store) -> None:
    _, turn = await begun(store)
    assert await store.turns(ONE) == []
    assert [each.id for each in await store.find(Query(text="mean"))] == [turn.id]


async def test_undo_takes_back_one_turn_after_the_other(store: Store) -> None:
    for name in ("e1", "e2"):
        await answered(store, message(name), step(execution=ran()))
    for left in (1, 0):
        undone = await store.undo(ONE)
        assert undone is not None
        assert undone.incoming.id == f"e{left + 1}"
        assert len(undone.steps) == 1
        assert (await store.thread(ONE)).turns == left == len(await store.turns(ONE)) == len(await store.find(Query()))
    assert await store.undo(ONE) is None
    assert not await store.push(message("e1"))
    assert (await store.thread(ONE)).opened == 2


async def test_a_thread_is_described(store: Store) -> None:
    await answered(store, message(text="  What\nis  the mean? " + "x" * 100))
    await answered(store, message("e2", author=BOB))
    await store.push(message("e3"))
    thread = await store.thread(ONE)
    assert thread.title.startswith("What is the mean? xxx")
    assert len(thread.title) == 80
    assert (thread.participants, thread.turns, thread.opened) == (("Ann", "Bob Day"), 2, 2)
    assert thread.created <= thread.updated


async def test_a_thread_without_words_is_named_after_its_file(store: Store) -> None:
    await store.push(message(text="", files=(File.of("sales.csv", b""),)))
    assert (await store.thread(ONE)).title == "sales.csv"


async def test_threads_are_listed_the_last_active_first(store: Store) -> None:
    for name, thread in (("a", ONE), ("b", TWO), ("c", ThreadId("web:3")), ("d", ONE)):
        await store.push(message(name, thread))
        await asyncio.sleep(0.005)
    assert [thread.id for thread in await store.threads(limit=2)] == [ONE, "web:3"]
    assert [thread.id for thread in await store.threads(limit=9)] == [ONE, "web:3", TWO]
    assert len(await store.threads(limit=0)) == 1


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (Query(), ["e3", "e2", "e1"]),
        (Query(limit=2), ["e3", "e2"]),
        (Query(thread=TWO), ["e2"]),
        (Query(prefix="slack:T1:C1"), ["e3", "e1"]),
        (Query(prefix="slack:.1"), []),
        (Query(prefix="discord:", person="U2"), ["e2"]),
        (Query(person="U2"), ["e2"]),
        (Query(person="bob day"), ["e2"]),
        (Query(person="bob"), []),
        (Query(ending=Ending.FAILED), ["e2"]),
        (Query(error="KeyError"), ["e2"]),
        (Query(error="parsererror"), ["e3"]),
        (Query(error="pandas.errors.ParserError"), ["e3"]),
        (Query(text="MEAN"), ["e3", "e2", "e1"]),
        (Query(text="mea"), []),
        (Query(text="gross margin"), ["e2"]),
        (Query(text="margin 1234567"), ["e3"]),
        (Query(text="read_csv"), ["e3"]),
        (Query(text="gave up"), ["e2"]),
        (Query(text="Größe"), ["e1"]),
        (Query(text="margin", person="ann", thread=ONE), ["e3"]),
        (Query(text="$where -mean \"it's\""), []),
    ],
    ids=str,
)
async def test_turns_are_found(store: Store, query: Query, names: list[str]) -> None:
    await answered(store, message("e1", text="What is the mean GRÖSSE?"))
    await asyncio.sleep(0.005)
    await answered(store, message("e2", TWO, "The gross MARGIN, the mean?", BOB), step(execution=ran(error="KeyError")), outcome=FAILED)
    await asyncio.sleep(0.005)
    parsed = step(0, "pd.read_csv('margin.csv')", execution=ran(error="pandas.errors.ParserError"))
    await answered(store, message("e3"), parsed, step(1, execution=ran("total: 1234567\n")))
    assert [turn.incoming.id for turn in await store.find(query)] == names


async def test_turns_are_found_by_date(store: Store) -> None:
    first = await answered(store, message("e1"))
    await asyncio.sleep(0.005)
    second = await answered(store, message("e2"))
    assert await store.find(Query(since=second.started)) == [second]
    assert await store.find(Query(until=second.started)) == [first]
    assert await store.find(Query(since=first.started, until=second.started)) == [first]


async def test_a_file_is_kept_once_and_wrong_ones_are_refused(store: Store) -> None:
    big = File.of("a.bin", bytes(range(256)) * 4000)
    await asyncio.gather(*(store.save_file(replace(big, name=f"{number}.bin")) for number in range(5)))
    assert await store.load_file(big.digest) == big.data
    with pytest.raises(FileRefused):
        await store.save_file(replace(big, data=b"other"))
    with pytest.raises(FileRefused):
        await store.save_file(replace(big, data=None))
    with pytest.raises(FileRefused, match="no file"):
        await store.load_file("0" * 64)


async def test_an_empty_file_is_a_file(store: Store) -> None:
    await store.save_file(File.of("empty", b""))
    assert await store.load_file(File.of("empty", b"").digest) == b""


async def test_the_state_of_an_idle_thread_is_kept_where_it_is_that_of_its_last_step(store: Store) -> None:
    lease, turn = await begun(store)
    await store.save_step(lease, turn.id, step(execution=ran()))
    state = Snapshot(parts=(Part.of(b"one"),), mark=step_mark(turn.id, 0))
    assert not await store.save_idle(ONE, state), "somebody works in it"
    await store.end_turn(lease, turn.id, ANSWERED)
    await store.release(lease)
    assert not await store.save_idle(ONE, replace(state, mark=step_mark(turn.id, 1))), "another step ran last"
    assert not await store.save_idle(TWO, state)
    assert await store.save_idle(ONE, state)
    assert await store.load_snapshot(ONE) == state
    await store.push(message("e2"))
    assert not await store.save_idle(ONE, replace(state, parts=(Part.of(b"two"),))), "a message waits in it"
    assert await store.load_snapshot(ONE) == state


async def test_the_last_snapshot_counts(store: Store) -> None:
    await store.push(message())
    lease = await claimed(store)
    for data in (b"one\ntwo", b"", b"one\ntwo", b"three" * 100_000):
        snapshot = Snapshot(parts=(Part.of(data),), names=("x", "naïve"), dropped=("f",))
        await store.save_snapshot(lease, snapshot)
        assert await store.load_snapshot(ONE) == snapshot


async def test_threads_with_the_same_state_do_not_disturb_each_other(store: Store) -> None:
    same, other = (Snapshot(parts=(Part.of(data),), names=(), dropped=()) for data in (b"same", b"other"))
    await store.push(message("a", ONE))
    await store.push(message("b", TWO))
    leases = [await claimed(store), await claimed(store)]
    for lease in leases:
        await store.save_snapshot(lease, same)
    await store.save_snapshot(leases[0], other)
    assert await store.load_snapshot(leases[1].thread) == same
    await asyncio.gather(*(store.save_snapshot(lease, snapshot) for lease in leases for snapshot in (same, other, same)))
    assert await store.load_snapshot(ONE) in (same, other)


async def test_messages_of_many_threads_are_answered_by_workers_at_once(store: Store) -> None:
    for number in range(24):
        await store.push(message(f"e{number}", ThreadId(f"web:{number % 6}"), author=ANN))

    async def work(owner: str) -> None:
        while lease := await store.claim(owner, MINUTE, ANY):
            turn = await store.open_turn(lease)
            await store.save_step(lease, turn.id, step(execution=ran()))
            await store.end_turn(lease, turn.id, ANSWERED)
            await store.release(lease)

    await asyncio.gather(*(work(f"worker-{number}") for number in range(4)))
    for number in range(6):
        turns = await store.turns(ThreadId(f"web:{number}"))
        assert [turn.incoming.id for turn in turns] == [f"e{number + 6 * nth}" for nth in range(4)]
        assert all(len(turn.steps) == 1 for turn in turns)


async def test_a_state_says_whether_code_ran_after_it(store: Store) -> None:
    await store.push(message())
    lease = await claimed(store)
    assert lease.ran == ""
    turn = await store.open_turn(lease)
    await store.save_step(lease, turn.id, step(execution=ran()))
    lost = await store.load_snapshot(ONE)
    assert lost is not None
    assert (lost.parts, lost.behind) == ((), True)
    await store.save_snapshot(lease, Snapshot(parts=(Part.of(b"one"),), mark=step_mark(turn.id, 0)))
    kept = await store.load_snapshot(ONE)
    assert kept is not None
    assert not kept.behind
    await store.save_step(lease, turn.id, step(1, execution=ran()))
    late = await store.load_snapshot(ONE)
    assert late is not None
    assert (late.parts, late.behind) == (kept.parts, True)
    await store.save_step(lease, turn.id, step(2, execution=replace(ran(), status=Status.LOST)))
    await store.end_turn(lease, turn.id, ANSWERED)
    await store.release(lease)
    await store.push(message("next"))
    assert (await claimed(store)).ran == step_mark(turn.id, 1)


async def test_a_part_without_bytes_must_be_here(store: Store) -> None:
    await store.push(message())
    lease = await claimed(store)
    large, small, other = Part.of(b"large" * 50_000), Part.of(b"small"), Part.of(b"other")
    await store.save_snapshot(lease, Snapshot(parts=(large, small)))
    await store.save_snapshot(lease, Snapshot(parts=(replace(large, data=None), other, other)))
    assert await store.load_snapshot(ONE) == Snapshot(parts=(large, other, other))
    with pytest.raises(FileRefused):
        await store.save_snapshot(lease, Snapshot(parts=(other, replace(small, data=None))))
    assert await store.load_snapshot(ONE) == Snapshot(parts=(large, other, other))


async def test_arrivals_are_told_wherever_they_were_taken_in(store: Store) -> None:
    await store.push(message("before"))
    arrivals = store.arrivals()
    heard = asyncio.ensure_future(anext(arrivals))
    await asyncio.sleep(0.3)
    for number, thread in enumerate((TWO, ONE, ONE)):
        await store.push(message(f"n{number}", thread))
        async with asyncio.timeout(5):
            await heard
        heard = asyncio.ensure_future(anext(arrivals))
        await asyncio.sleep(0.2)
    lease = await claimed(store)
    turn = await store.open_turn(lease)
    await store.save_step(lease, turn.id, step(execution=ran()))
    await store.renew(lease, 5)
    await asyncio.sleep(0.3)
    assert not heard.done(), "work on a thread is no arrival"
    heard.cancel()
    await asyncio.wait([heard])
    await arrivals.aclose()  # type: ignore[attr-defined]


async def stated(store: Store, name: str, thread: ThreadId, data: bytes) -> Turn:
    """A turn whose code left a state."""
    await store.push(message(name, thread, text=f"Question {name}?"))
    lease = await claimed(store)
    turn = await store.open_turn(lease)
    await store.save_step(lease, turn.id, step(0))
    await store.save_step(lease, turn.id, step(0, execution=replace(ran(), output=name)))
    done = await store.end_turn(lease, turn.id, ANSWERED)
    await store.save_snapshot(lease, Snapshot(parts=(Part.of(data), Part.of(b"shared")), mark=step_mark(turn.id, 0)))
    await store.keep_state(lease, turn.id)
    await store.release(lease)
    return done


async def test_a_fork_has_history_and_state_of_then_and_the_other_stays(store: Store) -> None:
    past = [await stated(store, name, ONE, name.encode()) for name in ("a", "b", "c")]
    await store.permit(ONE, "u2")
    fork = ThreadId("fork:1")
    await store.fork(ONE, fork, 2)
    turns = await store.turns(fork)
    assert [(turn.incoming.id, turn.incoming.thread, turn.reply) for turn in turns] == [("a", fork, ""), ("b", fork, "")]
    assert [turn.steps for turn in turns] == [turn.steps for turn in past[:2]]
    assert len({turn.id for turn in (*turns, *past)}) == 5
    state = await store.load_snapshot(fork)
    assert state is not None
    assert ([part.data for part in state.parts], state.behind) == ([b"b", b"shared"], False)
    about = await store.thread(fork)
    assert (about.turns, about.title, about.permitted) == (2, (await store.thread(ONE)).title, ("u2",))
    await stated(store, "d", fork, b"d")
    await stated(store, "e", ONE, b"e")
    assert [turn.incoming.id for turn in await store.turns(fork)] == ["a", "b", "d"]
    assert [turn.incoming.id for turn in await store.turns(ONE)] == ["a", "b", "c", "e"]
    assert [turn.incoming.thread for turn in await store.find(Query(text="Question", thread=fork))] == [fork] * 3


async def test_a_fork_of_a_fork_and_of_a_conversation_with_an_undone_turn_has_the_state_of_then(store: Store) -> None:
    for name in "abc":
        await stated(store, name, ONE, name.encode())
    await store.undo(ONE)
    assert await store.fork(ONE, TWO, 3)
    assert [turn.incoming.id for turn in await store.turns(TWO)] == ["a", "b"], "undone turns do not count"
    await stated(store, "d", TWO, b"d")
    for turns, data in ((3, b"d"), (2, b"b"), (1, b"a")):
        again = ThreadId(f"fork:{turns}")
        assert await store.fork(TWO, again, turns)
        state = await store.load_snapshot(again)
        assert state is not None
        assert (state.parts[0].data, state.behind) == (data, False)
    assert [turn.incoming.id for turn in await store.turns(ThreadId("fork:1"))] == ["a"]


async def test_a_fork_after_a_question_that_only_brought_files_has_them(store: Store) -> None:
    await store.push(message("a", ONE))
    lease = await claimed(store)
    turn = await store.open_turn(lease)
    await store.end_turn(lease, turn.id, ANSWERED)
    await store.save_snapshot(lease, Snapshot(parts=(Part.of(b"files"),)))
    await store.keep_state(lease, turn.id)
    await store.release(lease)
    assert await store.fork(ONE, TWO, 1)
    state = await store.load_snapshot(TWO)
    assert state is not None
    assert ([part.data for part in state.parts], state.behind) == ([b"files"], False)


async def test_a_fork_from_the_beginning_is_empty_and_one_of_nothing_is_refused(store: Store) -> None:
    await stated(store, "a", ONE, b"a")
    await store.fork(ONE, TWO, 0)
    assert await store.turns(TWO) == []
    assert await store.load_snapshot(TWO) is None
    with pytest.raises(ThreadNotFound):
        await store.fork(ThreadId("test:none"), ThreadId("fork:2"), 1)


async def test_states_of_long_ago_go_and_a_fork_there_says_that_its_state_is_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "STATES", 2)
    for name in "abcd":
        await stated(store, name, ONE, name.encode())
    for turns, found in ((4, [b"d", b"shared"]), (3, [b"c", b"shared"]), (1, [])):
        fork = ThreadId(f"fork:{turns}")
        assert await store.fork(ONE, fork, turns) == bool(found)
        state = await store.load_snapshot(fork)
        assert state is not None
        assert ([part.data for part in state.parts], state.behind) == (found, not found)
