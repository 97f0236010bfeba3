"""What every Store promises of the tokens by which programs use the API."""

from __future__ import annotations

from datetime import timedelta

from codeact_bot.desk import StoreDesk
from codeact_bot.ports import Store
from codeact_bot.tokens import create
from codeact_bot.types import Role, Token, now


def token(name: str, ends: float | None = None, made: float = 0) -> Token:
    at = now() + timedelta(seconds=made)
    return Token(id=f"{name}-digest", name=name, role=Role.AUDITOR, made=at, until=None if ends is None else at + timedelta(seconds=ends))


async def test_a_token_is_found_by_its_digest_until_its_time_is_over(store: Store) -> None:
    lasting, ending, over = token("lasting"), token("ending", 60, 1), token("over", -60, 2)
    for each in (ending, lasting, over):
        assert await store.save_token(each)
    assert await store.token(lasting.id) == lasting
    assert await store.token(ending.id) == ending
    assert await store.token(over.id) is None
    assert await store.token(lasting.name) is None
    assert await store.tokens() == [lasting, ending, over]


async def test_a_name_is_given_once(store: Store) -> None:
    first = token("ci")
    assert await store.save_token(first)
    assert not await store.save_token(Token(id="another", name="ci", role=Role.ADMIN, made=now()))
    assert await store.tokens() == [first]
    assert await store.token("another") is None


async def test_a_revoked_token_is_void(store: Store) -> None:
    await store.save_token(token("ci"))
    assert await store.remove_token("ci")
    assert not await store.remove_token("ci")
    assert await store.token("ci-digest") is None
    assert await store.save_token(token("ci"))


async def test_only_a_hash_of_the_secret_is_kept(store: Store) -> None:
    secret = await create(store, "ci", Role.MEMBER, timedelta(days=30))
    (kept,) = await store.tokens()
    assert secret not in repr(kept)
    assert kept.until is not None
    assert kept.until - kept.made == timedelta(days=30)
    assert await StoreDesk(store).token(secret) == kept
    assert await StoreDesk(store).token(secret[:-1]) is None
