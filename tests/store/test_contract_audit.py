"""What every Store promises of the audit: one chain, pages of runs and records, totals; over the memory store and the real MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from codeact_bot.audit import turn_entries
from codeact_bot.errors import QueryInvalid
from codeact_bot.ports import Store
from codeact_bot.redaction import MARK
from codeact_bot.types import (
    Author,
    By,
    Change,
    Deed,
    Ending,
    Entry,
    ErrorCount,
    File,
    Order,
    Outcome,
    Query,
    Schedule,
    Span,
    ThreadId,
    Trail,
    Usage,
    now,
)
from codeact_bot.verify import verify
from tests.store.make import ANN, BOB, ONE, TWO, answered, begun, claimed, message, ran, step

FAILED = Outcome(ending=Ending.FAILED, text="The model gave up.")


def entry(number: int = 1, **fields: object) -> Entry:
    """Somebody was refused."""
    return replace(Entry(kind=Deed.REFUSED, key=f"k{number}", author=ANN, text=f"No {number}."), **fields)  # type: ignore[arg-type]


async def test_an_empty_chain_holds(store: Store) -> None:
    verdict = await verify(store)
    assert (verdict.records, verdict.end, verdict.faults) == (0, None, ())
    assert (await store.records(Trail())).records == ()


async def test_a_record_comes_back_as_it_was_written(store: Store) -> None:
    file = File.of("a.csv", b"1,2")
    full = Entry(
        kind=Deed.RESULT, key="k", at=now(), author=Author(id="U1", name="Ann \ud800 \0 $x.y"), thread=ONE, turn="t", step=0, text="naïve 🐍 {$ne: 1}",
        subject="s", status="error", error="KeyError", model="m", usage=Usage(input_tokens=10**30, cost=0.1), seconds=1 / 3, digest="d", files=(file,),
        changes=(Change(name="a", before="", after="b"),), erases=(Span(first=1, last=2),),
    )  # fmt: skip
    await store.append([full])
    [record] = (await store.records(Trail())).records
    expected = replace(full, author=Author(id="U1", name="Ann \ufffd \0 $x.y"), files=(replace(file, data=None),), usage=Usage(input_tokens=2**63 - 1, cost=0.1))
    assert record.entry == expected
    assert (record.number, record.found, record.sound) == (1, record.digest, True)
    assert (await verify(store)).faults == ()


async def test_a_time_of_another_zone_and_precision_is_kept_to_the_millisecond(store: Store) -> None:
    odd = datetime.fromisoformat("2026-11-24T03:04:05.678901+02:00")
    await store.append([entry(at=odd)])
    assert (await store.records(Trail())).records[0].entry.at == datetime(2026, 11, 24, 1, 4, 5, 678000, tzinfo=UTC)
    assert (await verify(store)).faults == ()


async def test_what_is_recorded_already_is_left_out(store: Store) -> None:
    await store.append([entry(1), entry(2)])
    await store.append([entry(2, text="again"), entry(3), entry(1), entry(3, text="twice")])
    await store.append([])
    records = (await store.records(Trail())).records
    assert [(each.number, each.entry.key, each.entry.text) for each in records] == [(3, "k3", "No 3."), (2, "k2", "No 2."), (1, "k1", "No 1.")]
    assert (await verify(store)).records == 3


async def test_concurrent_writers_extend_one_chain(store: Store) -> None:
    batches = [[entry(10 * writer + number) for number in range(3)] for writer in range(10)]
    await asyncio.gather(*(store.append(batch) for batch in batches), *(store.append(batch) for batch in batches))
    verdict = await verify(store)
    assert (verdict.records, verdict.faults) == (30, ())
    assert verdict.end == await store.receipt()


async def test_the_salt_makes_equal_contents_different(store: Store) -> None:
    await store.append([entry(1, text="yes"), entry(2, text="yes")])
    one, two = (await store.records(Trail())).records
    assert one.digest != two.digest


async def test_a_turn_is_recorded_step_by_step_and_once(store: Store) -> None:
    turn = await answered(store, message(), step(execution=ran(error="KeyError")), step(1, execution=ran()))
    await store.append(turn_entries(turn)[:4])
    await store.append(turn_entries(turn))
    await store.append(turn_entries(turn))
    found = [each.entry for each in reversed((await store.records(Trail(turn=turn.id))).records)]
    assert [each.kind for each in found] == [
        Deed.ASKED, Deed.REQUESTED, Deed.CODE, Deed.RESULT, Deed.REQUESTED, Deed.CODE, Deed.RESULT, Deed.ENDED,
    ]  # fmt: skip
    assert [(each.text, each.error) for each in found if each.kind is Deed.RESULT] == [("4\nwent wrong", "KeyError"), ("4\n", "")]
    assert found[1].usage == turn.steps[0].completion.usage
    assert {each.author for each in found} == {ANN}


@pytest.mark.parametrize(
    ("trail", "keys"),
    [
        (Trail(), "7654321"),
        (Trail(limit=2), "76"),
        (Trail(kind=Deed.VIEWED), "7"),
        (Trail(person="U2"), "31"),
        (Trail(thread=ONE), "5"),
        (Trail(subject="md"), "6"),
        (Trail(since=datetime(2026, 1, 3, tzinfo=UTC)), "7653"),
        (Trail(until=datetime(2026, 1, 3, tzinfo=UTC)), "421"),
        (Trail(person="U1", kind=Deed.REFUSED, limit=1), "5"),
        (Trail(turn="none"), ""),
    ],
    ids=str,
)
async def test_records_are_found_and_paged(store: Store, trail: Trail, keys: str) -> None:
    entries = [entry(number, author=BOB if number in (1, 3) else ANN) for number in range(1, 5)]
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 2)]
    later = [entry(5, thread=ONE), entry(6, kind=Deed.EXPORTED, subject="md"), entry(7, kind=Deed.VIEWED)]
    await store.append([*(replace(each, at=at) for each, at in zip(entries, days, strict=True)), *later])
    page = await store.records(trail)
    assert "".join(each.entry.key[1:] for each in page.records) == keys
    everything, cursor = "", ""
    for _ in range(10):
        page = await store.records(replace(trail, limit=2, cursor=cursor))
        everything += "".join(each.entry.key[1:] for each in page.records)
        cursor = page.cursor
        if not cursor:
            break
    assert everything.startswith(keys)
    assert trail.limit != 50 or everything == keys


@pytest.mark.parametrize("cursor", ["x", "$$", "W10", "WzFd", "WyJhIiwxLCIyIl0", "é", "[" * 5000])
async def test_a_cursor_that_is_none_is_refused_in_words(store: Store, cursor: str) -> None:
    with pytest.raises(QueryInvalid, match="first page"):
        await store.search(Query(cursor=cursor))
    if cursor != "WzFd":
        with pytest.raises(QueryInvalid, match="first page"):
            await store.records(Trail(cursor=cursor))


async def _runs(store: Store) -> None:
    slack = ThreadId("slack:T1:C2:9")
    dear = replace(step(), completion=replace(step().completion, model="big", usage=Usage(input_tokens=100, cost=3.0)), execution=ran(error="a.B"))
    await answered(store, message("e1"), step(execution=ran(error="KeyError")), step(1, execution=ran(error="KeyError")), step(2, execution=ran()))
    await asyncio.sleep(0.003)
    await answered(store, message("e2", TWO, author=BOB), dear, outcome=FAILED)
    await asyncio.sleep(0.003)
    await answered(store, message("e3", slack), step(execution=ran(error="KeyError")), step(1))
    await asyncio.sleep(0.003)
    await begun(store, message("e4"))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (Query(), "4321"),
        (Query(platform="slack"), "431"),
        (Query(platform="discord"), "2"),
        (Query(platform="sla"), ""),
        (Query(channel="slack:T1:C1"), "41"),
        (Query(channel="slack:T1:C2"), "3"),
        (Query(model="big"), "2"),
        (Query(model="m"), "31"),
        (Query(min_cost=0.025), "21"),
        (Query(min_cost=1), "2"),
        (Query(person="bob day", min_cost=5), ""),
        (Query(person="U1", error="KeyError", platform="slack"), "31"),
        (Query(text="mean", model="m"), "31"),
    ],
    ids=str,
)
async def test_runs_are_found_by_what_they_were_and_paged(store: Store, query: Query, names: str) -> None:
    await _runs(store)
    assert "".join(turn.incoming.id[1:] for turn in await store.find(query)) == names
    found, cursor = [], ""
    for _ in range(9):
        page = await store.search(replace(query, limit=1, cursor=cursor))
        found += page.runs
        cursor = page.cursor
        if not cursor:
            break
    assert [each.turn for each in found] == [turn.id for turn in await store.find(query)]
    assert [each.turn for each in (await store.search(query)).runs] == [each.turn for each in found]


async def test_a_run_is_summed_up(store: Store) -> None:
    await _runs(store)
    running, _, _, first = (await store.search(Query())).runs
    assert (running.ending, running.ended, running.steps, running.channel) == (None, None, 0, "slack:T1:C1")
    assert (first.author, first.question, first.ending, first.channel) == (ANN, "What is the mean?", Ending.ANSWERED, "slack:T1:C1")
    assert (first.errors, first.model, first.steps, first.repairs, first.tokens) == (("KeyError",), "m", 3, 2, 33)
    assert first.cost == pytest.approx(0.03)
    assert first.ended is not None
    assert first.seconds == pytest.approx((first.ended - first.started).total_seconds())


async def test_runs_that_began_at_the_same_moment_are_each_on_one_page(store: Store) -> None:
    for number in range(12):
        await answered(store, message(f"e{number}", ThreadId(f"web:{number % 5}")))
    found, cursor = [], ""
    while True:
        page = await store.search(Query(limit=5, cursor=cursor))
        found += [each.turn for each in page.runs]
        cursor = page.cursor
        if not cursor:
            break
    assert len(found) == len(set(found)) == 12


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.PERSON, ["Ann (U1)", "Bob Day (U2)"]),
        (By.CHANNEL, ["discord", "slack:T1:C1", "slack:T1:C2"]),
        (By.PLATFORM, ["slack", "discord"]),
        (By.MODEL, ["m", "big"]),
    ],
)
async def test_totals_are_added_up(store: Store, by: By, names: list[str]) -> None:
    await _runs(store)
    totals = await store.totals(Query(), by)
    assert [each.name for each in totals] == names
    assert sum(each.runs for each in totals) == 3
    bobs = next(each for each in totals if each.failed)
    assert (bobs.answered, bobs.repairs, bobs.success, bobs.errors) == (0, 0, 0.0, (ErrorCount(type="a.B", runs=1),))


async def test_totals_of_a_day_tell_success_repairs_and_errors(store: Store) -> None:
    await _runs(store)
    [day] = await store.totals(Query(limit=1), By.DAY)
    assert day.name == now().date().isoformat()
    assert (day.runs, day.answered, day.failed, day.steps, day.tokens) == (3, 2, 1, 6, 155)
    assert (day.repairs, day.repairs_until_success) == (3, 1.5)
    assert day.success == pytest.approx(2 / 3)
    assert day.cost == pytest.approx(3.05)
    assert day.errors == (ErrorCount(type="KeyError", runs=2), ErrorCount(type="a.B", runs=1))
    assert await store.totals(Query(until=now() - timedelta(days=2)), By.DAY) == []
    [ann] = await store.totals(Query(error="KeyError"), By.PERSON)
    assert ann.runs == 2


async def test_what_a_fork_took_along_is_no_run_of_its_own(store: Store) -> None:
    await _runs(store)
    before = [await store.totals(Query(), by) for by in By]
    fork = ThreadId("slack:T1:C1:fork")
    await store.fork(ONE, fork, 1)
    assert len(await store.turns(fork)) == 1
    assert len((await store.search(Query())).runs) == 4
    assert (await store.search(Query(thread=fork))).runs == ()
    assert [await store.totals(Query(), by) for by in By] == before
    assert await store.find(Query(thread=fork, min_cost=0.001)) == []
    assert (await store.expire(now() + timedelta(days=1), platform="slack")).threads == 2, "and it is removed with the rest"


async def test_totals_of_a_long_time_are_those_of_its_parts(store: Store) -> None:
    for number in range(9):
        await answered(store, message(f"e{number}"), step(execution=ran(error="KeyError" if number % 2 else "")))
        await asyncio.sleep(0.002)
    [total] = await store.totals(Query(), By.PERSON)
    assert (total.runs, total.steps, total.repairs, total.errors) == (9, 9, 4, (ErrorCount(type="KeyError", runs=4),))
    first = (await store.search(Query())).runs[-1].started
    [rest] = await store.totals(Query(since=first + timedelta(milliseconds=1)), By.PERSON)
    assert rest.runs == 8


async def test_secrets_are_left_out_wherever_something_is_written(store: Store) -> None:
    secret = "xoxb-1234567890-abcdefGHIJ"
    await store.push(message(text=f"What is {secret}?"))
    lease = await claimed(store)
    assert lease.incoming.text == f"What is {MARK}Slack token]?"
    turn = await store.open_turn(lease)
    run = replace(ran(secret, error="KeyError"), value=secret)
    await store.save_step(lease, turn.id, replace(step(code=f"x = '{secret}'", execution=run), observation=secret))
    ended = await store.end_turn(lease, turn.id, Outcome(ending=Ending.ANSWERED, text=secret))
    await store.append([*turn_entries(ended), Entry(kind=Deed.EXPORTED, text=secret)])
    order = Order(
        name="n", when=f"daily at 9 {secret}", question=secret, author=ANN, subjects=(), zone="", home="p", fresh=False, place="p", channel="slack:T1:C1"
    )
    await store.save_schedule(Schedule(id="s", order=order, cron="0 9 * * *", zone="UTC", said="daily", next=None))
    everything = [
        ended,
        await store.turns(ONE),
        await store.thread(ONE),
        (await store.records(Trail(limit=99))).records,
        (await store.search(Query())).runs,
        await store.schedules(),
    ]
    assert secret not in repr(everything)
    assert repr(everything).count(MARK) >= 15
    assert await store.find(Query(text="abcdefGHIJ")) == []
