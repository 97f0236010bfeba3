"""What people were told already, and waiting for what is away."""

from __future__ import annotations

import pytest

from adapters.common import patience, told
from adapters.common.patience import patient
from adapters.common.told import Told
from codeact_bot.errors import StoreUnavailable


def test_everything_is_said_once_and_again_after_it_was_forgotten() -> None:
    said = Told()
    assert [said.first(each) for each in ("ask", "steer", "ask")] == [True, True, False]
    said.forget("ask")
    assert said.first("ask")
    assert not said.first("steer")


def test_only_the_last_things_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "REMEMBERED", 2)
    said = Told()
    assert [said.first(each) for each in ("a", "b", "a", "c", "a", "b")] == [True, True, False, True, False, True]


async def test_what_is_away_is_waited_for_and_other_failures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.001)
    failures: list[Exception] = [StoreUnavailable("away"), StoreUnavailable("away")]

    async def work() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await patient(work) == "done"
    failures.append(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        await patient(work)
    failures += [ValueError("wrong")]
    assert await patient(work, failures=(ValueError,)) == "done"
