"""Conversations of before lists were searched are found, too, once upkeep has seen them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Listing, Retention, ThreadId
from codeact_bot.upkeep import retain
from tests.store.make import answered, message

pytestmark = pytest.mark.needs("mongo")


async def found(store: MongoStore, text: str) -> list[ThreadId]:
    return [each.id for each in await store.browse(Listing(text=text))]


async def test_they_are_found_after_upkeep_and_new_ones_at_once(open_mongo: Callable[[], Awaitable[MongoStore]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeact_bot.upkeep.BATCH", 2)
    store = await open_mongo()
    names = [ThreadId(f"web:{number}") for number in range(5)]
    for number, name in enumerate(names):
        await answered(store, message("a", name, f"Sales of region{number}"))
    await store.push(message("b", names[1], "And the weather?"))
    await store._threads.update_many({}, {"$unset": {"words": 1, "worded": 1}})
    await store.push(message("c", names[0], "And its trend?"))
    assert (await found(store, "region0"), await found(store, "trend")) == ([], [names[0]])
    assert await store.find_words(2) == 2
    await retain(store, Retention())
    assert [await found(store, f"region{number}") for number in range(5)] == [[name] for name in names]
    assert (await found(store, "trend"), await found(store, "weather")) == ([names[0]], [names[1]])
    fork = ThreadId("web:fork")
    await store.fork(names[2], fork, 1)
    assert sorted(await found(store, "region2")) == sorted([names[2], fork])
    await store.push(message("d", ThreadId("web:new"), "Brand new"))
    assert await found(store, "brand") == [ThreadId("web:new")]
    assert await store.find_words(100) == 0, "nothing is left to be done"
    await store.aclose()
