"""What every Store promises to a list of conversations, and of the links by which they are shared."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from codeact_bot.ports import Store
from codeact_bot.types import Ending, Listing, Outcome, Share, ThreadId, now
from tests.store.make import ANN, BOB, ONE, TWO, answered, begun, message

THREE = ThreadId("web:3")


async def listed(store: Store, **given: object) -> list[str]:
    return [each.id for each in await store.browse(Listing(**given))]  # type: ignore[arg-type]


async def filled(store: Store) -> None:
    """Three conversations, the last active first: THREE waits, TWO failed, ONE was answered."""
    await answered(store, message("a", ONE, "Sales per region, please"))
    await asyncio.sleep(0.005)
    lease, turn = await begun(store, message("b", TWO, "Plot the weather", BOB))
    await store.end_turn(lease, turn.id, Outcome(ending=Ending.FAILED, text="No."))
    await store.release(lease)
    await asyncio.sleep(0.005)
    await store.push(message("c", THREE, "Größe der $sales.* Datei"))
    await asyncio.sleep(0.005)


async def test_conversations_are_listed_with_their_people_and_how_they_stand(store: Store) -> None:
    await filled(store)
    three, two, one = await store.browse(Listing())
    assert [three.id, two.id, one.id] == [THREE, TWO, ONE]
    assert [(each.running, each.ending) for each in (three, two, one)] == [(True, None), (False, Ending.FAILED), (False, Ending.ANSWERED)]
    assert (two.participants, two.people) == (("Bob Day",), ("U2",))
    assert (await store.thread(TWO)) == two


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"text": "sal"}, [THREE, ONE]),
        ({"text": "SALES reg"}, [ONE]),
        ({"text": "grö"}, [THREE]),
        ({"text": ".*"}, [THREE, TWO, ONE]),
        ({"text": "ales"}, []),
        ({"text": "bob weath"}, [TWO]),
        ({"prefix": "web:"}, [THREE]),
        ({"prefix": "."}, []),
        ({"running": True}, [THREE]),
        ({"ending": Ending.FAILED}, [TWO]),
        ({"ending": Ending.STOPPED}, []),
        ({"person": "U2"}, [TWO]),
        ({"person": "U9"}, []),
        ({"limit": 1}, [THREE]),
        ({"limit": 0}, [THREE]),
    ],
)
async def test_a_list_is_narrowed(store: Store, given: dict[str, object], found: list[str]) -> None:
    await filled(store)
    assert await listed(store, **given) == found


async def test_a_list_goes_on_after_its_last_entry(store: Store) -> None:
    await filled(store)
    seen: list[str] = []
    after = None
    while page := await store.browse(Listing(limit=1, after=after)):
        seen += [each.id for each in page]
        after = (page[-1].updated, page[-1].id)
    assert seen == [THREE, TWO, ONE]


async def test_a_later_question_and_somebody_else_are_found_too(store: Store) -> None:
    await filled(store)
    await store.push(message("d", ONE, "And the median?", BOB))
    assert await listed(store, text="medi sales") == [ONE]
    assert await listed(store, person="U2") == [ONE, TWO]
    await store.permit(THREE, "U2")
    assert await listed(store, person="U2") == [ONE, THREE, TWO]


async def test_a_message_taken_back_waits_no_more(store: Store) -> None:
    await filled(store)
    await store.withdraw(THREE, "c")
    assert await listed(store, running=True) == []


async def test_a_fork_is_found_as_its_original_is(store: Store) -> None:
    await filled(store)
    await store.fork(ONE, ThreadId("web:fork"), 1)
    assert await listed(store, text="region") == ["web:fork", ONE]
    assert (await store.thread(ThreadId("web:fork"))).ending is Ending.ANSWERED
    assert await listed(store, person=ANN.id, prefix="web:f") == ["web:fork"]


async def test_a_share_is_kept_until_it_ends_or_is_removed(store: Store) -> None:
    at = now()
    good = Share(id="a" * 64, thread=ONE, by=ANN, made=at, until=at + timedelta(days=1))
    other = replace(good, id="b" * 64, made=at + timedelta(seconds=1))
    past = replace(good, id="c" * 64, until=at - timedelta(seconds=1))
    for each in (other, good, past):
        await store.save_share(each)
    assert await store.share(good.id) == good
    assert await store.share(past.id) is None
    assert await store.share("d" * 64) is None
    assert await store.shares(ONE) == [good, other]
    await store.remove_share(TWO, good.id)
    assert await store.share(good.id) == good
    await store.remove_share(ONE, good.id)
    assert await store.share(good.id) is None
    assert await store.shares(ONE) == [other]
