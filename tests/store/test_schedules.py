"""Schedules: each run exactly once however many workers look, through crashes, pauses and outages; missed runs are told of."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from codeact_bot.desk import StoreDesk
from codeact_bot.errors import FileRefused, ScheduleNotFound, ScheduleRefused, StoreUnavailable
from codeact_bot.schedule import MOST, Scheduler
from codeact_bot.types import Access, Author, Order, ThreadId, now

ANN = Author(id="U1", name="Ann")
HOUR = timedelta(hours=1)
WISH = Order(
    name="m1",
    when="every hour: how many?",
    question="",
    author=ANN,
    subjects=("test:user:U1",),
    zone="",
    home="test:1",
    fresh=False,
    place="here",
    channel="test:1",
)


class Inbox:
    """A real queue behind an inbox that may fail."""

    def __init__(self, store):
        self._store = store
        self.failures = []

    async def accept(self, incoming):
        if self.failures:
            raise self.failures.pop(0)
        return await self._store.push(incoming)


def scheduler(store, inbox=None, access=None, grace=HOUR, prefixes=("test:",)):
    return Scheduler(store, inbox or Inbox(store), access or Access(), lambda: prefixes, grace)


async def overdue(store, *, by=timedelta(seconds=1), order=WISH):
    """A schedule that was to run a while ago."""
    made = await StoreDesk(store).order(order)
    return await store.set_next(made.id, now() - by)


async def queued(store, thread="test:1"):
    return await store.pending(ThreadId(thread))


async def test_a_schedule_is_made_listed_and_removed(store):
    desk = StoreDesk(store, "Europe/Berlin")
    made = await desk.order(WISH)
    assert (made.question, made.said, made.zone) == ("how many?", "every hour (Europe/Berlin)", "Europe/Berlin")
    assert await desk.schedules("test:1") == [made]
    assert await desk.schedules("test:2") == []
    assert await desk.order(WISH) == made, "the same wish, redelivered, makes a second one"
    other = await desk.order(replace(WISH, name="m2", channel="test:2", when="0 9 * * mon", question="And now?"))
    assert await store.schedules(person="U1") == [made, other]
    await desk.remove_schedule(made.id)
    with pytest.raises(ScheduleNotFound):
        await desk.schedule(made.id)
    with pytest.raises(ScheduleNotFound):
        await desk.pause(made.id)


async def test_two_wishes_whose_digests_begin_alike_are_two_schedules(store, monkeypatch):
    monkeypatch.setattr("codeact_bot.schedule.SHORT", 1)
    desk = StoreDesk(store)
    made = [await desk.order(replace(WISH, name=f"m{number}")) for number in range(18)]
    assert len({each.id for each in made}) == 18
    assert [each.order.name for each in made] == [f"m{number}" for number in range(18)]


@pytest.mark.parametrize(("change", "sentence"), [
    ({"when": "every hour"}, "And what am I to do every hour (UTC)?"),
    ({"when": "every hour foo", "question": "bar"}, "but not “foo” after it"),
    ({"when": "* * * * * go"}, "every 5 minutes at most"),
    ({"when": "0 9 30 feb * go"}, "That never comes"),
])  # fmt: skip
async def test_what_cannot_be_is_refused(store, change, sentence):
    with pytest.raises(ScheduleRefused, match=sentence.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        await StoreDesk(store).order(replace(WISH, **change))


async def test_one_person_has_so_many_at_most(store):
    desk = StoreDesk(store)
    for number in range(MOST):
        await desk.order(replace(WISH, name=f"m{number}"))
    with pytest.raises(ScheduleRefused, match="Delete one first"):
        await desk.order(replace(WISH, name="one more"))


async def test_a_run_is_sent_once_by_many_workers_and_the_next_is_set(store):
    made = await overdue(store)
    await asyncio.gather(*(scheduler(store).tick() for _ in range(8)))
    (incoming,) = await queued(store)
    assert (incoming.text, incoming.author, incoming.place) == ("how many?", ANN, "here")
    assert incoming.fire is not None
    assert (incoming.fire.schedule, incoming.fire.note, incoming.fire.skipped) == (made.id, "", False)
    after = await store.schedule(made.id)
    assert after.firing is None
    assert now() < after.next <= now() + HOUR
    await scheduler(store).tick()
    assert len(await queued(store)) == 1


async def test_only_workers_of_its_platform_send_it(store):
    await overdue(store)
    await scheduler(store, prefixes=("other:",)).tick()
    await scheduler(store, prefixes=()).tick()
    assert not await queued(store)


@pytest.mark.parametrize("before", [True, False])
async def test_a_worker_that_dies_between_the_writes_loses_and_doubles_nothing(store, before, monkeypatch):
    """It dies before or after its message came into the queue, having begun the run."""
    made = await overdue(store)
    inbox = Inbox(store)
    if before:
        inbox.failures = [StoreUnavailable("away")]
    else:

        async def dies(*_):
            raise StoreUnavailable("away")

        monkeypatch.setattr(store, "fired", dies)
    with pytest.raises(StoreUnavailable):
        await scheduler(store, inbox).tick()
    assert len(await queued(store)) == (not before)
    assert (await store.schedule(made.id)).firing is not None
    monkeypatch.undo()
    await asyncio.gather(*(scheduler(store, inbox).tick() for _ in range(3)))
    assert len(await queued(store)) == 1
    assert (await store.schedule(made.id)).firing is None


async def test_a_message_that_the_queue_refuses_does_not_hold_up_the_others(store, caplog):
    inbox = Inbox(store)
    inbox.failures = [FileRefused("Too many wait.")]
    await overdue(store)
    await overdue(store, order=replace(WISH, name="m2", home="test:2"))
    await scheduler(store, inbox).tick()
    assert len(await queued(store)) + len(await queued(store, "test:2")) == 1
    assert "is left out: Too many wait." in caplog.text


async def test_runs_that_were_missed_are_made_up_for_by_one(store):
    made = await overdue(store, by=HOUR * 5)
    await scheduler(store).tick()
    (incoming,) = await queued(store)
    assert not incoming.fire.skipped
    assert "comes late, since no worker was running" in incoming.fire.note
    assert "5 before it were left out, too." in incoming.fire.note or "4 before it were left out, too." in incoming.fire.note
    assert incoming.fire.due > now() - HOUR
    assert (await store.schedule(made.id)).next > now()


async def test_a_run_that_comes_too_late_is_only_told_of(store):
    daily = replace(WISH, when="0 9 * * * go", zone="UTC")
    made = await overdue(store, by=timedelta(hours=3), order=daily)
    await scheduler(store).tick()
    (incoming,) = await queued(store)
    assert incoming.fire.skipped
    assert "press Retry to run it now" in incoming.fire.note
    assert "The next is due on" in incoming.fire.note
    assert (await store.schedule(made.id)).next is not None


async def test_one_whose_maker_may_not_use_the_bot_any_more_is_paused_and_says_so(store):
    made = await overdue(store)
    await scheduler(store, access=Access(deny=("test:user:U1",))).tick()
    (incoming,) = await queued(store)
    assert incoming.fire.skipped
    assert incoming.fire.note == "This schedule of Ann is paused: they may no longer use me here."
    assert (await store.schedule(made.id)).next is None


async def test_paused_and_resumed(store):
    desk = StoreDesk(store)
    made = await overdue(store)
    assert desk.upcoming(await desk.pause(made.id), 1) == []
    await scheduler(store).tick()
    assert not await queued(store)
    assert (await desk.resume(made.id)).next > now(), "what fell into the pause is not made up for"
    assert len(desk.upcoming(await desk.schedule(made.id), 3)) == 3


async def test_one_that_is_paused_in_the_middle_is_not_sent(store):
    made = await overdue(store)
    await store.set_next(made.id, None)
    assert await store.begin_fire(made, (await StoreDesk(store).run_now(made.id, "x")), None) is False


async def test_run_now_is_one_run_more(store):
    desk = StoreDesk(store)
    made = await desk.order(WISH)
    for name in ("a", "a", "b"):
        await store.push(await desk.run_now(made.id, name))
    assert len(await queued(store)) == 2
    assert (await store.schedule(made.id)).next == made.next


async def test_it_goes_to_the_conversation_that_goes_on_there_or_begins_one_each_time(store):
    await store.move("test:1", ThreadId("test:1#rewound"))
    await overdue(store)
    await scheduler(store).tick()
    assert len(await queued(store, "test:1#rewound")) == 1
    desk = StoreDesk(store)
    fresh = await desk.order(replace(WISH, name="m2", fresh=True, home="test:1:s"))
    first, second = [await desk.run_now(fresh.id, name) for name in "ab"]
    assert first.thread != second.thread
    assert first.thread.startswith(f"test:1:s{fresh.id}")
