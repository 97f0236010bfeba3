"""What every Store promises of those who are signed in to the web chat."""

from __future__ import annotations

from datetime import timedelta

from codeact_bot.desk import StoreDesk
from codeact_bot.ports import Store
from codeact_bot.types import Author, SignIn, now
from tests.store.make import ANN, BOB


def sign_in(name: str, person: Author = ANN, ends: float = 60, made: float = 0) -> SignIn:
    at = now() + timedelta(seconds=made)
    return SignIn(id=name, person=person, made=at, until=at + timedelta(seconds=ends))


async def test_a_sign_in_is_found_by_its_digest_until_its_time_is_over(store: Store) -> None:
    first, over, second = sign_in("1"), sign_in("2", ends=-1, made=1), sign_in("3", BOB, made=2)
    for each in (second, over, first):
        await store.save_sign_in(each)
    assert await store.sign_in("1") == first
    assert await store.sign_in("2") is None
    assert await store.sign_in("4") is None
    assert await store.sign_ins() == [first, second]


async def test_one_browser_is_signed_out_or_all_of_a_person(store: Store) -> None:
    for each in (sign_in("1"), sign_in("2"), sign_in("3"), sign_in("4", BOB), sign_in("5", ends=-1)):
        await store.save_sign_in(each)
    await store.end_sign_in("1")
    assert [each.id for each in await store.sign_ins()] == ["2", "3", "4"]
    assert await store.end_sign_ins(ANN.id) == 2
    assert await store.end_sign_ins(ANN.id) == 0
    assert [each.id for each in await store.sign_ins()] == ["4"]
    assert await store.sign_in("2") is None


async def test_what_is_over_is_not_kept(store: Store) -> None:
    """The next who signs in takes it away: nobody else has to."""
    await store.save_sign_in(sign_in("1", ends=-1))
    await store.save_sign_in(sign_in("2"))
    kept = [each["_id"] async for each in store._database.sign_ins.find()] if hasattr(store, "_database") else list(store._sign_ins)  # type: ignore[attr-defined]
    assert kept == ["2"]


async def test_only_a_hash_of_the_secret_is_kept(store: Store) -> None:
    desk = StoreDesk(store)
    secret = await desk.sign_in(ANN, 3600)
    (kept,) = await store.sign_ins()
    assert secret not in repr(kept)
    assert (kept.person, kept.until - kept.made) == (ANN, timedelta(hours=1))
    assert await desk.signed_in(secret) == kept
    assert await desk.signed_in(secret[:-1]) is None
    await desk.sign_out(secret)
    assert await desk.signed_in(secret) is None


async def test_whom_one_forgets_is_signed_out_unless_another_platform_is_meant(store: Store) -> None:
    for prefix, left in (("slack:", ["1", "2"]), ("web:", ["2"]), ("", ["2"])):
        await store.save_sign_in(sign_in("1"))
        await store.save_sign_in(sign_in("2", BOB))
        await store.forget(ANN.id, prefix=prefix)
        assert [each.id for each in await store.sign_ins()] == left
        for each in await store.sign_ins():
            await store.end_sign_in(each.id)
