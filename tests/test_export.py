"""Exports: valid in their formats, and a notebook that really runs."""

import json

import nbformat
import pytest
from nbclient import NotebookClient

from codeact_bot import Agent, File, ScriptedModel
from codeact_bot.errors import FileRefused
from codeact_bot.export import export
from codeact_bot.types import Ending


def code(text):
    return f"I look.\n\n```python\n{text}\n```\n"


@pytest.fixture
async def conversation():
    """Return a conversation with a file, an error, a table, hostile text and a turn that did not end well."""
    replies = [
        code("rows = open('in.csv').read().split()\nrow"),
        code("print('`````` | a fence')\nlen(rows)"),
        "It has **2** rows.",
        code("import pandas as pd\npd.DataFrame({'a|b': [1, 2], 'c': ['x', '`']})"),
        "A table.",
        RuntimeError("no more"),
    ]
    async with Agent(model=ScriptedModel(replies), sandbox="process") as agent:
        first = await agent.run("How many rows?", files=[File.of("in.csv", b"1\n2\n")])
        await agent.run("As a table.")
        with pytest.raises(Exception, match="went wrong"):
            await agent.run("Break.")
        yield await agent.store.thread(first.thread), await agent.history(), agent.store.load_file


async def test_markdown(conversation):
    text = (await export(*conversation[:2], "md", conversation[2])).decode()
    assert "How many rows?" in text
    assert "NameError" in text
    assert "``````` " in text or "```````\n" in text
    assert "| a\\|b | c |" in text


async def test_json(conversation):
    turns = json.loads(await export(*conversation[:2], "json", conversation[2]))["turns"]
    assert [turn["outcome"]["ending"] for turn in turns] == ["answered", "answered", "failed"]
    assert turns[0]["steps"][0]["action"]["kind"] == "run_code"


async def test_training_data_holds_answered_turns_in_chat_format(conversation):
    lines = (await export(*conversation[:2], "jsonl", conversation[2])).decode().splitlines()
    (line,) = lines
    messages = json.loads(line)["messages"]
    assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 5]
    assert "NameError" in messages[3]["content"]
    assert sum(turn.outcome.ending is Ending.ANSWERED for turn in conversation[1]) == 2
    assert not any("Break." in message["content"] for message in messages)


@pytest.mark.filterwarnings("default")
async def test_the_notebook_runs(conversation, tmp_path):
    notebook = nbformat.reads(await export(*conversation[:2], "ipynb", conversation[2]), as_version=4)
    nbformat.validate(notebook)
    recorded = [output.data["text/plain"] for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "execute_result"]
    ran = await NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).async_execute()
    again = [output.data["text/plain"] for cell in ran.cells for output in cell.get("outputs", []) if output.output_type == "execute_result"]
    assert recorded[0] in again
    assert (tmp_path / "in.csv").read_bytes() == b"1\n2\n"


async def test_another_format_is_refused(conversation):
    with pytest.raises(FileRefused, match="jsonl"):
        await export(*conversation[:2], "pdf", conversation[2])
