"""Sums that are kept of whole weeks are what the runs come to, whatever is done to these; over the memory store and the real MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from codeact_bot.errors import QueryInvalid
from codeact_bot.ports import Store
from codeact_bot.store import cells, tallies, totals
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author, By, Ending, Lease, Outcome, Query, Run, ThreadId, Total, Turn, now
from tests.store.make import ANN, BOB, ONE, begun, message, ran, step

MONDAY = cells.bounds(cells.week_of(now() - timedelta(days=42)))[0]
"""The first day of the runs of these tests; their weeks are over."""
FENCE = 0.2
PLACES = ("slack:T1:C1:1", "slack:T1:C2:2", "web:3")
ERRORS = ("", "KeyError", "pandas.errors.ParserError")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weeks that are let be for a moment are added up, and for every combination that two runs fit."""
    monkeypatch.setattr(tallies, "FENCE", FENCE)
    monkeypatch.setattr(tallies, "SETTLED", 0.0)
    monkeypatch.setattr(cells, "MANY", 2)


async def began(store: Store, turn: Turn, at: datetime) -> None:
    """Let a turn have begun at another time."""
    if isinstance(store, MongoStore):
        await store._turns.update_one({"_id": turn.id}, {"$set": {"started": at}})
        return
    assert isinstance(store, MemoryStore)
    found = next(each for each in store._every() if each.turn.id == turn.id)
    found.turn = replace(found.turn, started=at)


async def finish(store: Store, lease: Lease, turn: Turn, *errors: str, ending: Ending = Ending.ANSWERED) -> None:
    for index, error in enumerate(errors):
        await store.save_step(lease, turn.id, step(index, execution=ran(error=error)))
    await store.end_turn(lease, turn.id, Outcome(ending=ending, text="Yes."))
    await store.release(lease)


async def run(store: Store, name: str, at: datetime, *errors: str, author: Author = ANN, thread: ThreadId = ONE) -> Turn:
    """A run that began at a time of the past and came to its end."""
    lease, turn = await begun(store, message(name, thread, author=author))
    await began(store, turn, at)
    await finish(store, lease, turn, *errors)
    return turn


async def added(store: Store, query: Query, by: By) -> list[Total]:
    """What the runs come to, read one by one."""
    found: list[Run] = []
    page = await store.search(replace(query, limit=1_000))
    found += page.runs
    while page.cursor:
        page = await store.search(replace(query, limit=1_000, cursor=page.cursor))
        found += page.runs
    return [plain(each) for each in totals.add((each for each in found if each.ending is not None), by)]


def plain(total: Total) -> Total:
    """The same, without what the order of addition does to fractions."""
    return replace(total, seconds=round(total.seconds, 3), cost=round(total.cost, 6))


async def agree(store: Store, *queries: Query) -> None:
    for query in queries:
        for by in By:
            assert [plain(each) for each in await store.totals(query, by)] == await added(store, query, by), (query, by)


async def tallied(store: Store) -> int:
    await asyncio.sleep(FENCE + 0.05)
    return await store.tally()


QUERIES = [
    Query(),
    Query(person="u1"),
    Query(person="Bob Day", platform="slack"),
    Query(ending=Ending.FAILED),
    Query(ending=Ending.ANSWERED, model="m", channel="slack:T1:C1"),
    Query(error="ParserError"),
    Query(error="keyerror", person="Ann"),
    Query(since=MONDAY + timedelta(days=3), until=MONDAY + timedelta(days=17)),
    Query(since=MONDAY + timedelta(days=7), platform="slack"),
    Query(until=MONDAY + timedelta(days=14), ending=Ending.ANSWERED),
    Query(text="mean"),
    Query(min_cost=0.015),
]


class Runs(RuleBasedStateMachine):
    """Runs of four weeks, in any order; what is added up is always what the runs come to."""

    make: ClassVar[Callable[[], Coroutine[Any, Any, Any]]]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def open_store(self) -> None:
        self.store, self.count, self.asked = self._do(type(self).make()), 0, 0
        self.late: tuple[Lease, Turn] | None = None

    def _begin(self, days: int, place: str, author: Author) -> tuple[Lease, Turn]:
        self.count += 1
        lease, turn = self._do(begun(self.store, message(f"e{self.count}", ThreadId(place), author=author)))
        self._do(began(self.store, turn, MONDAY + timedelta(days=days, hours=self.count % 24)))
        return lease, turn

    @rule(
        days=st.integers(0, 27),
        place=st.sampled_from(PLACES),
        author=st.sampled_from([ANN, BOB]),
        errors=st.lists(st.sampled_from(ERRORS), max_size=3),
        ending=st.sampled_from([Ending.ANSWERED, Ending.ANSWERED, Ending.FAILED]),
        count=st.integers(1, 3),
    )
    def ask(self, days: int, place: str, author: Author, errors: list[str], ending: Ending, count: int) -> None:
        """Some runs, one after another; their thread is free, unless a late one holds it."""
        for _ in range(count):
            if self.late is None or self.late[0].thread != place:
                self._do(finish(self.store, *self._begin(days, place, author), *errors, ending=ending))

    @precondition(lambda self: self.late is None)
    @rule(days=st.integers(0, 27), place=st.sampled_from(PLACES), author=st.sampled_from([ANN, BOB]))
    def begin_late(self, days: int, place: str, author: Author) -> None:
        self.late = self._begin(days, place, author)

    @precondition(lambda self: self.late is not None)
    @rule(error=st.sampled_from(ERRORS))
    def end_late(self, error: str) -> None:
        assert self.late is not None
        self._do(finish(self.store, *self.late, error))
        self.late = None

    @rule()
    def tally(self) -> None:
        self._do(tallied(self.store))

    @rule(place=st.sampled_from(PLACES))
    def undo(self, place: str) -> None:
        self._do(self.store.undo(ThreadId(place)))

    @precondition(lambda self: self.late is None)
    @rule(author=st.sampled_from([ANN, BOB]), prefix=st.sampled_from(["", "slack:"]))
    def forget(self, author: Author, prefix: str) -> None:
        self._do(self.store.forget(author.id, prefix=prefix))

    @precondition(lambda self: self.late is None)
    @rule(platform=st.sampled_from(["slack", "web"]), half=st.booleans())
    def expire(self, platform: str, half: bool) -> None:
        """Retention looks at ends, which are all of today; so it takes all of a platform, or nothing of it."""
        self._do(self.store.expire(now() + timedelta(days=1 if half else -1), platform=platform))

    @rule(place=st.sampled_from(PLACES), on=st.booleans())
    def hold(self, place: str, on: bool) -> None:
        if any(each.id == place for each in self._do(self.store.threads(limit=9))):
            self._do(self.store.hold(ThreadId(place), on=on))

    @rule(place=st.sampled_from(PLACES))
    def fork(self, place: str) -> None:
        if any(each.id == place for each in self._do(self.store.threads(limit=99))):
            self.count += 1
            self._do(self.store.fork(ThreadId(place), ThreadId(f"{place}#{self.count}"), 2))

    @invariant()
    def totals_are_what_the_runs_come_to(self) -> None:
        self.asked += 1
        self._do(agree(self.store, *(QUERIES[(2 * self.asked + number) % len(QUERIES)] for number in range(2))))

    def teardown(self) -> None:
        self._do(agree(self.store, *QUERIES))
        self._do(self.store.aclose())


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]


@pytest.fixture
def loop() -> Any:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_in_memory(loop: Any) -> None:
    async def make() -> MemoryStore:
        return MemoryStore()

    machine = type("Memory", (Runs,), {"make": staticmethod(make), "loop": loop})
    run_state_machine_as_test(machine, settings=settings(max_examples=10, stateful_step_count=12, deadline=None, suppress_health_check=QUIET))


@pytest.mark.needs("mongo")
@pytest.mark.timeout(300)
def test_in_mongo(loop: Any, mongo_url: str, database: str) -> None:
    async def make() -> MongoStore:
        store = await MongoStore.open(mongo_url, database)
        for name in ("threads", "turns", "steps", "owed", "places", "weeks", "tallies"):
            await store._database[name].delete_many({})
        return store

    machine = type("Mongo", (Runs,), {"make": staticmethod(make), "loop": loop})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=14, deadline=None, suppress_health_check=QUIET))


@pytest.fixture
async def mongo(open_mongo: Any) -> Any:
    store = await open_mongo()
    yield store
    await store.aclose()


needs_mongo = pytest.mark.needs("mongo")


@needs_mongo
async def test_sums_are_kept_and_used_and_the_runs_are_not_read_again(mongo: MongoStore) -> None:
    for number in range(6):
        await run(mongo, f"e{number}", MONDAY + timedelta(days=number % 3), "KeyError")
    assert await tallied(mongo) > 1, "the weeks until today are looked at, too"
    assert await mongo.tally() == 0
    before = [await mongo.totals(Query(), by) for by in By]
    await mongo._turns.update_many({}, {"$set": {"fact_tokens": 10**9}})
    assert [await mongo.totals(Query(), by) for by in By] == before, "they come from the sums"
    [half] = await mongo.totals(Query(since=MONDAY + timedelta(days=1)), By.PLATFORM)
    assert (half.runs, half.tokens) == (4, 4 * 10**9), "and parts of a week from the runs"


@needs_mongo
async def test_a_change_lets_go_of_the_sums_of_its_week_alone(mongo: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await run(mongo, f"e{number}", MONDAY + timedelta(days=7 * (number // 2)))
    await tallied(mongo)
    monkeypatch.setattr(tallies, "FENCE", 600.0)
    await mongo.undo(ONE)
    third, second = (cells.week_of(MONDAY + timedelta(days=days)) for days in (14, 7))
    assert [each["_id"] async for each in mongo._database.weeks.find({"sums": None})] == [third]
    assert await mongo._database.tallies.count_documents({"week": third}) == 0
    assert await mongo._database.tallies.count_documents({"week": second}) > 0
    await agree(mongo, *QUERIES)
    assert await mongo.tally() == 0, "it is still fenced"
    await mongo._database.weeks.update_one({"_id": third}, {"$set": {"until": now() - timedelta(seconds=1)}})
    assert await mongo.tally() == 1
    await agree(mongo, *QUERIES)


@needs_mongo
async def test_sums_of_a_version_that_kept_others_are_passed_over_and_made_again(mongo: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await run(mongo, f"e{number}", MONDAY + timedelta(days=number % 3), "KeyError")
    with monkeypatch.context() as earlier:
        earlier.setattr(tallies, "LAYOUT", "earlier")
        made = await tallied(mongo)
    await mongo._turns.update_many({}, {"$set": {"fact_tokens": 7}})
    assert [(each.runs, each.tokens) for each in await mongo.totals(Query(), By.PLATFORM)] == [(6, 42)], "they come from the runs"
    assert await mongo.tally() == made
    await mongo._turns.update_many({}, {"$set": {"fact_tokens": 8}})
    assert [(each.runs, each.tokens) for each in await mongo.totals(Query(), By.PLATFORM)] == [(6, 42)], "and from the new sums"


async def names(store: MongoStore) -> str:
    """All that the sums that are kept name."""
    return repr([cells.unpack(data) async for each in store._database.tallies.find() for data in each["groups"].values()])


@needs_mongo
async def test_who_is_forgotten_is_in_no_sums(mongo: MongoStore) -> None:
    for number in range(3):
        await run(mongo, f"a{number}", MONDAY, author=ANN)
        await run(mongo, f"b{number}", MONDAY, author=BOB)
    await tallied(mongo)
    assert "Ann (U1)" in await names(mongo)
    await mongo.forget(ANN.id)
    for _ in range(2):
        assert "Ann" not in await names(mongo)
        await tallied(mongo)
    assert "Bob Day (U2)" in await names(mongo)


@needs_mongo
async def test_a_change_that_comes_too_late_is_refused_by_the_server_and_begun_again(mongo: MongoStore) -> None:
    """A worker stands still between letting go and changing, for longer than the fence; meanwhile others add the week up."""
    for number in range(3):
        await run(mongo, f"e{number}", MONDAY)
    await tallied(mongo)
    lease, turn = await begun(mongo, message("late"))
    await began(mongo, turn, MONDAY)
    let_go, fences = mongo._tallies._let_go, 0

    async def stand_still(week: str) -> datetime:
        nonlocal fences
        fences += 1
        until = await let_go(week)
        if fences == 1:
            assert await tallied(mongo) == 1
        return until

    mongo._tallies._let_go = stand_still  # type: ignore[method-assign]
    mongo._tallies._fences.clear()
    await finish(mongo, lease, turn)
    assert fences == 2
    await agree(mongo, *QUERIES)
    assert [each.runs for each in await mongo.totals(Query(), By.PLATFORM)] == [4]


@needs_mongo
async def test_sums_that_were_made_beside_a_change_are_thrown_away(mongo: MongoStore) -> None:
    for number in range(4):
        await run(mongo, f"e{number}", MONDAY)
    await asyncio.sleep(FENCE)
    add_up = mongo._tallies._tallies.insert_many

    class Slow:
        """The collection, whose next write comes after somebody has undone a run."""

        def __getattr__(self, name: str) -> Any:
            return getattr(mongo._database.tallies, name)

        async def insert_many(self, rows: Any) -> Any:
            mongo._tallies._tallies = mongo._database.tallies
            assert await mongo.undo(ONE) is not None
            await add_up(rows)

    mongo._tallies._tallies = Slow()
    await tallied(mongo)
    await agree(mongo, *QUERIES)
    assert await mongo._database.tallies.count_documents({"week": cells.week_of(MONDAY)}) == 0


@needs_mongo
async def test_workers_that_add_up_and_change_at_once_leave_what_is_true(mongo: MongoStore, open_mongo: Any) -> None:
    others = [await open_mongo() for _ in range(3)]
    try:
        for number in range(24):
            await run(mongo, f"e{number}", MONDAY + timedelta(days=number), author=ANN if number % 2 else BOB, thread=ThreadId(f"web:{number % 4}"))

        async def change(store: MongoStore, thread: str) -> None:
            for _ in range(3):
                await store.undo(ThreadId(thread))
                await asyncio.sleep(FENCE / 3)

        async def make(store: MongoStore) -> None:
            for _ in range(6):
                await store.tally()
                await asyncio.sleep(FENCE / 4)

        await asyncio.gather(*(make(each) for each in others), *(change(each, f"web:{number}") for number, each in enumerate(others)))
        await agree(mongo, *QUERIES)
        await tallied(others[0])
        await agree(mongo, *QUERIES)
        assert sum(each.runs for each in await mongo.totals(Query(), By.DAY)) == 24 - 9
    finally:
        for each in others:
            await each.aclose()


async def test_words_and_costs_that_too_many_runs_fit_are_refused_in_words(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "SINGLY", 2)
    for number in range(3):
        await run(store, f"e{number}", MONDAY + timedelta(days=number), "KeyError")
    for query in (Query(text="mean"), Query(min_cost=0.001), Query(thread=ONE)):
        with pytest.raises(QueryInvalid, match="fewer days"):
            await store.totals(query, By.DAY)
        assert len(await store.totals(replace(query, since=MONDAY + timedelta(days=1)), By.DAY)) == 2
    assert len(await store.totals(Query(person="Ann"), By.DAY)) == 3, "what sums are kept of is not"


async def test_errors_are_added_up_by_type(store: Store) -> None:
    await run(store, "e1", MONDAY, "KeyError", "KeyError", "a.B", "")
    await run(store, "e2", MONDAY, "KeyError")
    await run(store, "e3", MONDAY)
    found = await store.totals(Query(), By.ERROR)
    assert [(each.name, each.runs, each.answered, each.steps) for each in found] == [("KeyError", 2, 2, 5), ("a.B", 1, 1, 4)]


def test_weeks_begin_on_monday_in_utc_and_what_is_left_of_a_time_has_no_gaps() -> None:
    assert cells.week_of(datetime(2026, 1, 4, 23, 59, tzinfo=UTC)) == "2025-12-29"
    assert cells.week_of(datetime.fromisoformat("2026-01-05T01:00+02:00")) == "2025-12-29"
    monday, two = datetime(2026, 1, 5, tzinfo=UTC), {"2026-01-19": True, "2026-01-05": True}
    ends = [monday + timedelta(days=days) for days in (7, 14, 21)]
    assert cells.between(two, None, None) == [span(None, monday), span(ends[0], ends[1]), span(ends[2], None)]
    assert cells.between(two, monday, ends[2]) == [span(ends[0], ends[1])]
    assert cells.between({}, monday, ends[0]) == [span(monday, ends[0])]
    few = {"2026-01-05": False, "2026-01-12": False, "2026-01-19": True, "2026-02-02": False}
    later = monday + timedelta(days=28)
    assert cells.between(few, monday, later + timedelta(days=8)) == [
        span(monday, ends[1], few=True),
        span(ends[2], later),
        span(later, later + timedelta(days=7), few=True),
        span(later + timedelta(days=7), later + timedelta(days=8)),
    ]


def span(since: datetime | None, until: datetime | None, *, few: bool = False) -> cells.Span:
    return cells.Span(since=since, until=until, few=few)
