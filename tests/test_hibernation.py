"""Conversations that fall asleep and wake up: in the same worker or another, on Docker or in a process, with the real MongoDB in between."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import pytest

from codeact_bot.errors import StoreUnavailable
from codeact_bot.ports import Sandbox
from codeact_bot.sandbox.docker import DockerSandbox
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import Service
from codeact_bot.store.mongo import MongoStore
from codeact_bot.thread_session import STATE_LOST, ThreadSession
from codeact_bot.types import Execution, Resources
from tests.test_service import ONE, Chat, code, message, working

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(300)]

PLAIN = """
import math, json as j, threading
from dataclasses import dataclass
number = 41
shared = [1, 2]
twin = shared
def double(x, by=[2]): return by[0] * x
@dataclass
class Point:
    x: int
    y: int = 2
point = Point(1)
def adder(n):
    def add(x): return x + n
    return add
add = adder(3)
square = lambda x: x * x
lock = threading.Lock()
open('notes.txt', 'w').write('kept')
"""
SCIENCE = """
import numpy as np, pandas as pd
table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
grid = np.arange(200_000)
"""
CHECKS = {
    "number": "number == 41",
    "twin": "twin is shared and twin == [1, 2]",
    "double": "double(4) == 8",
    "point": "point == Point(1) and repr(point) == 'Point(x=1, y=2)'",
    "add": "add(4) == 7",
    "square": "square(5) == 25",
    "lock": "lock.acquire()",
    "math": "math.floor(2.5) == 2 and j.loads('1') == 1",
    "notes.txt": "open('notes.txt').read() == 'kept'",
    "table": "table.b.tolist() == ['x', 'y'] and table.a.sum() == 3",
    "grid": "int(grid.sum()) == 19999900000",
}
LOOK = f"""
checks, fine = {CHECKS!r}, []
for name, check in checks.items():
    try:
        fine += [name] if eval(check) else []
    except Exception:
        pass
import json
print(json.dumps(fine))
"""
EASY = {"number", "twin", "double", "point", "math", "notes.txt"}
"""What survives in any image."""
HARD = {"add", "square"}
"""What survives where the image has cloudpickle."""


@pytest.fixture
async def store(mongo_url: str) -> AsyncIterator[MongoStore]:
    opened = await MongoStore.open(mongo_url, f"test-{uuid.uuid4().hex}")
    yield opened
    await opened._client.drop_database(opened._database.name)
    await opened.aclose()


@pytest.fixture
async def chat(monkeypatch: pytest.MonkeyPatch) -> Chat:
    monkeypatch.setattr("tests.test_service.SOON", 120)
    return Chat()


def make(kind: str, request: pytest.FixtureRequest) -> Sandbox:
    if kind == "docker":
        return DockerSandbox(image=request.getfixturevalue("docker_image"))
    return ProcessSandbox(isolation="plain", resources=Resources(memory=2 * 1024**3))


async def rested(worker: Service) -> None:
    async with asyncio.timeout(30):
        while worker._turns:
            await asyncio.sleep(0.02)


def working_names(run: Execution) -> set[str]:
    return set(json.loads(run.output))


DOCKER = pytest.mark.needs("docker", "image")
PAIRS = [
    pytest.param("docker", "docker", marks=DOCKER),
    pytest.param("process", "process"),
    pytest.param("docker", "process", marks=DOCKER),
    pytest.param("process", "docker", marks=DOCKER),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_a_conversation_wakes_with_everything_in_the_same_worker_and_in_another(
    store: MongoStore, chat: Chat, first: str, second: str, request: pytest.FixtureRequest
) -> None:
    same = first == second
    async with working(store, chat, [code(PLAIN + (SCIENCE if same else "")), "A.", code(LOOK), "B."], sandbox=make(first, request)) as worker:
        for number, name in enumerate("ab", start=1):
            await worker.accept(message(name))
            await chat.ended(number)
            await rested(worker)
            assert await worker._sessions.hibernate(0) == 1
            assert not worker._sessions._threads
    other = Chat()
    async with working(store, other, [code(LOOK), "C."], sandbox=make(second, request)) as worker:
        await worker.accept(message("c"))
        await other.ended()
    looks = [step.execution for turn in (await store.turns(ONE))[1:] for step in turn.steps if step.execution]
    science = {"table", "grid"} if same else set()
    everything = EASY | science | (HARD if first == "docker" else set())
    woken, elsewhere = (working_names(look) for look in looks)
    assert everything - woken == set()
    assert (everything if same else EASY) - elsewhere == set()
    for name in CHECKS.keys() - elsewhere - ({"table", "grid"} - science):
        assert any(name in note for look in looks for note in look.notes), f"nobody was told that {name} is gone: {[look.notes for look in looks]}"


FIT = """
import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
grid = np.arange(60.0).reshape(-1, 1)
line = make_pipeline(StandardScaler(), LinearRegression()).fit(grid, 3 * grid.ravel() + 1)
forest = RandomForestRegressor(n_estimators=5, random_state=1).fit(grid, grid.ravel() ** 2)
models = {"best": forest, "all": [line, forest]}
print(forest.predict([[7.5]])[0])
"""
FITTED = "print(models['best'] is forest, models['all'][0] is line, round(float(line.predict([[100.0]])[0]), 6))\nprint(forest.predict([[7.5]])[0])"


@DOCKER
async def test_fitted_models_go_on_predicting_in_another_worker(store: MongoStore, chat: Chat, docker_image: str) -> None:
    async with working(store, chat, [code(FIT), "A."], sandbox=DockerSandbox(image=docker_image)) as worker:
        await worker.accept(message("a"))
        await chat.ended()
    other = Chat()
    async with working(store, other, [code(FITTED), "B."], sandbox=DockerSandbox(image=docker_image)) as worker:
        await worker.accept(message("b"))
        await other.ended()
    fitted, woken = [step.execution for turn in await store.turns(ONE) for step in turn.steps if step.execution]
    assert woken.notes == ()
    assert woken.output == "True True 301.0\n" + fitted.output


async def test_a_sandbox_whose_state_is_not_saved_stays_awake_until_it_is(store: MongoStore, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeact_bot.keeper.AGAIN", 0.01)
    away = True
    save, idle = store.save_snapshot, store.save_idle

    async def saving(*given: object) -> None:
        if away:
            raise StoreUnavailable("MongoDB does not answer.")
        await save(*given)  # type: ignore[arg-type]

    async def saving_idle(*given: object) -> bool:
        if away:
            raise StoreUnavailable("MongoDB does not answer.")
        return await idle(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "save_snapshot", saving)
    monkeypatch.setattr(store, "save_idle", saving_idle)
    async with working(store, chat, [code("x = 41"), "A."]) as worker:
        await worker.accept(message("a"))
        await chat.ended()
        await rested(worker)
        assert await worker._sessions.hibernate(0) == 0, "its state would be lost"
        away = False
        assert await worker._sessions.hibernate(0) == 1
    second = Chat()
    async with working(store, second, [code("print(x + 1)"), "B."]) as worker:
        await worker.accept(message("b"))
        await second.ended()
    (run,) = [step.execution for step in (await store.turns(ONE))[1].steps if step.execution]
    assert (run.output, run.notes) == ("42\n", ())


async def test_a_state_that_is_too_large_is_tried_again_and_then_named_as_lost(store: MongoStore, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ThreadSession.snapshot.__kwdefaults__, "limit", 100_000)
    async with working(store, chat, [code("import os\nx = os.urandom(1_000_000)"), "A.", code("'x' in globals()"), "B."]) as worker:
        await worker.accept(message("a"))
        await chat.ended()
        await rested(worker)
        assert await worker._sessions.hibernate(0) == 1
        await worker.accept(message("b"))
        await chat.ended(2)
    assert any("not kept beyond this session" in getattr(event, "text", "") for _, event in chat.heard), "the person is told at once"
    (run,) = [step.execution for step in (await store.turns(ONE))[1].steps if step.execution]
    assert (run.value, run.notes) == ("False", (STATE_LOST,))
