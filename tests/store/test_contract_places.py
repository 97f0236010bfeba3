"""What every Store promises to chat platforms: places of conversations, messages taken back, answers owed until they have arrived."""

from __future__ import annotations

import asyncio

import pytest

from codeact_bot.errors import ThreadNotFound, TurnNotFound
from codeact_bot.ports import Store
from codeact_bot.store import records
from codeact_bot.types import ThreadId
from tests.store.make import ANSWERED, ANY, ONE, TWO, answered, begun, claimed, message, ran, step


async def test_a_turn_is_found_by_its_id_while_it_runs_and_after(store: Store) -> None:
    lease, turn = await begun(store, message())
    await store.save_step(lease, turn.id, step(execution=ran()))
    assert [each.index for each in (await store.turn(turn.id)).steps] == [0]
    assert (await store.turn(turn.id)).outcome is None
    await store.end_turn(lease, turn.id, ANSWERED)
    found = await store.turn(turn.id)
    assert found.outcome == ANSWERED
    assert found.incoming.id == "e1"
    with pytest.raises(TurnNotFound, match="nowhere"):
        await store.turn("nowhere")


async def test_a_waiting_message_is_taken_back_and_never_claimed(store: Store) -> None:
    await store.push(message("a"))
    await store.push(message("b"))
    assert await store.withdraw(ONE, "a")
    assert not await store.withdraw(ONE, "a")
    assert (await claimed(store)).incoming.id == "b"
    assert not await store.push(message("a")), "a redelivery of what was taken back is still a redelivery"


async def test_the_last_waiting_message_taken_back_leaves_nothing_to_claim(store: Store) -> None:
    await store.push(message())
    assert await store.withdraw(ONE, "e1")
    assert await store.claim("w", 60, ANY) is None
    assert not await store.withdraw(TWO, "e1")


async def test_a_message_whose_turn_has_begun_is_not_taken_back(store: Store) -> None:
    lease, turn = await begun(store, message())
    assert not await store.withdraw(ONE, "e1")
    await store.end_turn(lease, turn.id, ANSWERED)
    assert not await store.withdraw(ONE, "e1")


async def test_a_place_leads_to_the_conversation_that_was_put_there_last(store: Store) -> None:
    assert await store.conversation("slack:T1:C1:1.0") is None
    await store.move("slack:T1:C1:1.0", ONE)
    await store.move("slack:T1:C1:2.0", TWO)
    assert await store.conversation("slack:T1:C1:1.0") == ONE
    await store.move("slack:T1:C1:1.0", TWO)
    assert await store.conversation("slack:T1:C1:1.0") == TWO


async def test_people_are_permitted_once_each(store: Store) -> None:
    with pytest.raises(ThreadNotFound):
        await store.permit(ONE, "U1")
    await store.push(message())
    for person in ("U1", "U2", "U1"):
        await store.permit(ONE, person)
    assert (await store.thread(ONE)).permitted == ("U1", "U2")


async def test_an_answer_is_owed_until_it_is_delivered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GRACE", 0.0)
    turn = await answered(store, message())
    assert await store.claim_delivery("w", 60, ["slack:elsewhere"]) is None
    owed = await store.claim_delivery("w", 60, ANY)
    assert owed is not None
    assert (owed.id, owed.outcome) == (turn.id, ANSWERED)
    assert await store.claim_delivery("other", 60, ANY) is None, "one worker delivers at a time"
    await store.delivered(turn.id)
    assert not await store.renew_delivery(turn.id, "w", 0)
    assert await store.claim_delivery("w", 60, ANY) is None


async def test_an_answer_that_was_just_given_is_left_to_its_own_worker(store: Store) -> None:
    await answered(store, message())
    assert await store.claim_delivery("other", 60, ANY) is None


async def test_a_running_turn_owes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GRACE", 0.0)
    await begun(store, message())
    assert await store.claim_delivery("w", 60, ANY) is None


async def test_a_delivery_that_was_given_up_goes_to_the_next(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GRACE", 0.0)
    turn = await answered(store, message())
    assert await store.claim_delivery("dead", 0, ANY)
    owed = await store.claim_delivery("next", 60, ANY)
    assert owed is not None
    assert not await store.renew_delivery(turn.id, "dead", 60)
    assert await store.renew_delivery(turn.id, "next", 0)
    assert await store.claim_delivery("third", 60, ANY)


async def test_of_many_workers_one_delivers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GRACE", 0.0)
    for number in range(4):
        await answered(store, message(f"e{number}", ThreadId(f"t:{number}")))
    taken = await asyncio.gather(*(store.claim_delivery(f"w{number}", 60, ["t:"]) for number in range(8)))
    assert len({turn.id for turn in taken if turn}) == sum(turn is not None for turn in taken) == 4
