"""Code that waits for a yes, in the terminal chat: on a real worker and sandbox."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from adapters.console import About, ConsoleAdapter, Line
from codeact_bot.agent.loop import Loop
from codeact_bot.chat import TerminalDesk
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.store.memory import MemoryStore
from codeact_bot.types import Author, Ending, Kind, ThreadId
from tests.adapters import stage

THREAD = ThreadId("terminal:1")
ADA = Author(id="ada", name="Ada")
FIRST = "I multiply.\n\n```python\nprint(6 * 7)\n```\n"


async def talk(store: MemoryStore, folder: Path, replies: list[Any], *lines: str) -> str:
    """Open the chat, type some lines, and leave; returns what the screen shows."""
    paper = io.StringIO()
    desk = TerminalDesk(cast("Any", SimpleNamespace(store=store)))
    adapter = ConsoleAdapter(
        thread=THREAD,
        author=ADA,
        desk=desk,
        about=About(model="gpt-5", sandbox="process", demo=False),
        saved=folder,
        console=Console(file=paper, width=100, highlight=False, _environ={}),
        lines=stage.listed([Line(text=line) for line in lines]),
        keyboard=False,
    )
    sandbox = ProcessSandbox(isolation="plain")
    async with Sessions(sandbox, store, pool=0) as sessions:
        service = Service(store=store, sessions=sessions, loop=Loop(model=ScriptedModel(replies), approve=True), adapters=[adapter])
        async with asyncio.timeout(60):
            await service.run()
    await sandbox.aclose()
    return paper.getvalue()


async def test_y_runs_it_and_n_does_not(tmp_path: Path) -> None:
    store = MemoryStore()
    text = await talk(store, tmp_path, [FIRST, "It is 42.", FIRST], "What is 6 times 7?", "y", "And again?", "n")
    asked, after = text.split("Run it? y or n", 1)
    assert "print(6 * 7)" in asked
    assert "42" not in asked
    assert "May I run this code?" in asked
    assert "│ 42" in after
    assert "It is 42." in after
    assert "Ada declined, so this code was not run." in after
    turns = await store.turns(THREAD)
    assert [turn.incoming.kind for turn in turns] == [Kind.QUESTION, Kind.APPROVAL] * 2
    assert [turn.outcome.ending for turn in turns if turn.outcome] == [Ending.APPROVAL, Ending.ANSWERED, Ending.APPROVAL, Ending.STOPPED]


async def test_the_question_is_asked_again_by_the_next_start_and_after_a_command(tmp_path: Path) -> None:
    store = MemoryStore()
    await talk(store, tmp_path, [FIRST], "What is 6 times 7?")
    text = await talk(store, tmp_path, ["It is 42."], "/history", "yes")
    assert text.count("Run it? y or n") == 2
    assert "It is 42." in text


async def test_another_question_takes_it_back_and_a_yes_is_then_a_word(tmp_path: Path) -> None:
    store = MemoryStore()
    await talk(store, tmp_path, [FIRST, "Other.", "Yes what?"], "What is 6 times 7?", "Something else.", "yes")
    turns = await store.turns(THREAD)
    assert [turn.incoming.kind for turn in turns] == [Kind.QUESTION] * 3
    assert not any(step.ran for turn in turns for step in turn.steps)


async def test_an_answer_given_elsewhere_is_told(tmp_path: Path) -> None:
    from adapters.common.approvals import ANSWERED, approving

    store = MemoryStore()
    await talk(store, tmp_path, [FIRST], "What is 6 times 7?")
    (turn,) = await store.turns(THREAD)
    last = TerminalDesk.last

    async def late(self: TerminalDesk, thread: ThreadId) -> Any:
        found = await last(self, thread)
        if found is not None and found.id == turn.id and not await store.pending(thread):
            await store.push(approving(turn, yes=True, author=Author(id="bob", name="Bob"), place=""))
        return found

    TerminalDesk.last = late  # type: ignore[method-assign]
    try:
        text = await talk(store, tmp_path, ["It is 42."], "y")
    finally:
        TerminalDesk.last = last  # type: ignore[method-assign]
    assert ANSWERED in text
