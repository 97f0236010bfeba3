"""A bot that stops finishes what people asked of it, and leaves nothing running behind."""

from __future__ import annotations

import asyncio

import pytest

from adapters.slack import errands, hearing
from tests.slack.conftest import World, until

pytestmark = [pytest.mark.needs("slack"), pytest.mark.timeout(60)]


def bolts() -> list[str]:
    """The tasks that Bolt runs listeners in."""
    return [repr(task) for task in asyncio.all_tasks() if "run_ack_function_asynchronously" in repr(task)]


async def test_questions_that_were_to_be_marked_do_not_hold_it_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "SOON", 3600.0)
    monkeypatch.setattr(errands, "GRACE", 3600.0)
    ts = await world.ask("first")
    await world.ask("second", thread=ts)
    await until(lambda: len(bolts()) == 2)
    await world.stop()
    assert bolts() == []
    assert world.proxy.calls["reactions.add"] == 0


async def test_what_a_person_asked_for_by_command_is_done_before_it_leaves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.ask()
    await world.answered()
    export, begun, let = world.core.desk.export, asyncio.Event(), asyncio.Event()

    async def slow(*given: object) -> object:
        begun.set()
        await let.wait()
        return await export(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(world.core.desk, "export", slow)
    await world.slack.command("export md")
    await asyncio.wait_for(begun.wait(), 15)
    asyncio.get_running_loop().call_later(0.5, let.set)
    await world.stop()
    assert world.proxy.calls["files.completeUploadExternal"] == 1


async def test_what_takes_too_long_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "GRACE", 0.2)
    await world.ask()
    await world.answered()
    begun = asyncio.Event()

    async def endless(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(world.core.desk, "export", endless)
    await world.slack.command("export md")
    await asyncio.wait_for(begun.wait(), 15)
    await world.stop()
    assert bolts() == []
