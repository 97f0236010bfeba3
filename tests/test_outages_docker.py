"""What happens when a sandbox or its engine goes away: a real Docker engine of the test's own that is stopped and started again, and containers that are removed."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from codeact_bot.sandbox import docker
from codeact_bot.sandbox.docker import DockerSandbox
from codeact_bot.store.memory import MemoryStore
from codeact_bot.thread_session import GONE_KEPT
from codeact_bot.types import CodeStarted, Ending, Execution, Output, Status, Turn
from tests import engine
from tests.engine import Engine
from tests.test_service import ONE, Chat, code, message, working

pytestmark = [pytest.mark.needs("docker", "image"), pytest.mark.timeout(300)]

KEEP = "kept = 41\nopen('kept.txt', 'w').write('file')"
HANG = "import time\nprint('on', flush=True)\ntime.sleep(120)"
LOOK = "print(kept + 1, open('kept.txt').read())"


@pytest.fixture(scope="module")
def _started() -> Iterator[Engine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("needs root and dockerd for an engine of its own")
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder, engine.running(Path(folder)) as started:
        yield started


@pytest.fixture
async def own(_started: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """An engine without containers."""
    monkeypatch.setenv("DOCKER_HOST", _started.address)
    yield _started
    left = await asyncio.to_thread(_started.containers)
    assert left == []


@pytest.fixture
async def sandbox(own: Engine) -> DockerSandbox:
    made = DockerSandbox(image=engine.IMAGE)
    await made.prepare(lambda _: None)
    return made


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def chat() -> Chat:
    return Chat()


async def saved(store: MemoryStore) -> None:
    """Wait until the state of the last step is saved."""
    async with asyncio.timeout(30):
        while not (kept := await store.load_snapshot(ONE)) or kept.behind:
            await asyncio.sleep(0.02)


def runs(turn: Turn) -> list[Execution]:
    return [step.execution for step in turn.steps if step.execution]


async def test_an_engine_that_restarts_in_the_middle_of_a_step_costs_that_step_alone(
    own: Engine, sandbox: DockerSandbox, store: MemoryStore, chat: Chat
) -> None:
    async with working(store, chat, [code(KEEP), code(HANG), code(LOOK), "Done."], sandbox=sandbox) as worker:
        await worker.accept(message("a"))
        await chat.until(lambda: Output in chat.kinds("a"))
        await saved(store)
        await asyncio.to_thread(own.stop)
        await asyncio.to_thread(own.start)
        await chat.ended()
        (turn,) = await store.turns(ONE)
        assert turn.outcome is not None
        assert turn.outcome.text == "Done."
        first, hung, look = runs(turn)
        assert (first.status, hung.status, look.status) == (Status.OK, Status.LOST, Status.OK)
        assert (look.output, look.notes) == ("42 file\n", (GONE_KEPT,))
        assert "It may have had effects and was not run again" in turn.steps[1].observation
        assert "variables of earlier steps are gone" not in turn.steps[1].observation, "they are not"
        assert GONE_KEPT in turn.steps[2].observation


async def test_an_engine_that_restarts_between_turns_is_noticed_by_the_next_alone(
    own: Engine, sandbox: DockerSandbox, store: MemoryStore, chat: Chat
) -> None:
    async with working(store, chat, [code(KEEP), "A.", code(LOOK), "B."], sandbox=sandbox) as worker:
        await worker.accept(message("a"))
        await chat.ended()
        await saved(store)
        await asyncio.to_thread(own.stop)
        await asyncio.to_thread(own.start)
        await worker.accept(message("b"))
        await chat.ended(2)
    (look,) = runs((await store.turns(ONE))[1])
    assert (look.output, look.notes) == ("42 file\n", (GONE_KEPT,))


async def test_while_the_engine_is_away_the_answer_says_what_to_do(
    own: Engine, sandbox: DockerSandbox, store: MemoryStore, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "RESTART", 0.5)
    async with working(store, chat, [code(KEEP), code(HANG), code(LOOK), code(LOOK), "B."], sandbox=sandbox) as worker:
        await worker.accept(message("a"))
        await chat.until(lambda: Output in chat.kinds("a"))
        await saved(store)
        await asyncio.to_thread(own.stop)
        await chat.ended()
        await asyncio.to_thread(own.start)
        await worker.accept(message("b"))
        await chat.ended(2)
    first, second = await store.turns(ONE)
    assert first.outcome is not None
    assert first.outcome.ending is Ending.FAILED
    assert first.outcome.text.startswith(f"Could not reach Docker at {own.address}. Is it running? Start it")
    assert [each.status for each in runs(first)] == [Status.OK, Status.LOST, Status.LOST]
    (look,) = runs(second)
    assert (look.output, look.notes) == ("42 file\n", ())


async def test_a_container_removed_between_two_steps_is_replaced_with_its_state(
    own: Engine, sandbox: DockerSandbox, store: MemoryStore, chat: Chat
) -> None:
    slowly = [code(KEEP), code(LOOK), "Done."]
    async with working(store, chat, slowly, sandbox=sandbox, delay=0.05) as worker:
        await worker.accept(message("a"))
        await saved(store)
        (container,) = await asyncio.to_thread(own.containers)
        assert chat.kinds("a").count(CodeStarted) == 1, "the model is still writing the second step"
        await asyncio.to_thread(own.remove, container)
        await chat.ended()
    (turn,) = await store.turns(ONE)
    _, look = runs(turn)
    assert (look.status, look.output, look.notes) == (Status.OK, "42 file\n", (GONE_KEPT,))
    assert GONE_KEPT in turn.steps[1].observation


async def test_a_container_removed_while_idle_is_replaced_with_its_state(own: Engine, sandbox: DockerSandbox, store: MemoryStore, chat: Chat) -> None:
    async with working(store, chat, [code(KEEP), "A.", code(LOOK), "B."], sandbox=sandbox) as worker:
        await worker.accept(message("a"))
        await chat.ended()
        await saved(store)
        (container,) = await asyncio.to_thread(own.containers)
        await asyncio.to_thread(own.remove, container)
        await worker.accept(message("b"))
        await chat.ended(2)
    (look,) = runs((await store.turns(ONE))[1])
    assert (look.output, look.notes) == ("42 file\n", (GONE_KEPT,))


async def test_a_container_whose_removal_failed_is_removed_later(own: Engine, sandbox: DockerSandbox) -> None:
    session = await sandbox.start("test")
    with own.deaf():
        await session.aclose()
    assert len(await asyncio.to_thread(own.containers)) == 1
    assert await sandbox.reap() == 1
    await sandbox.aclose()
    assert await asyncio.to_thread(own.containers) == []
