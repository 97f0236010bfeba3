"""The stores that the contract suite runs over."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from codeact_bot.ports import Store
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.needs("mongo"))])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    opened: MongoStore = await request.getfixturevalue("open_mongo")()
    yield opened
    await opened.aclose()


@pytest.fixture
def database() -> str:
    """The name of a database that no other test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def open_mongo(mongo_url: str, database: str) -> Callable[[], Awaitable[MongoStore]]:
    """Opens one more MongoStore on this test's database."""
    return lambda: MongoStore.open(mongo_url, database)
