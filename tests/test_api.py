"""The Python API, and with it service and sessions, on the process sandbox and the memory store."""

import asyncio
import re
from pathlib import Path

import pytest

from codeact_bot import Agent, File, Limits, MemoryStore, ProcessSandbox, Result, ScriptedModel, run_sync
from codeact_bot.errors import ConfigurationInvalid, ModelRefused, RunFailed, ThreadNotFound
from codeact_bot.types import CodeStarted, Ending, Output, Status, StepDone, ThreadId, TurnDone
from tests import openai_server

ROOT = Path(__file__).parent.parent


@pytest.fixture
def model_url():
    with openai_server.running() as url:
        yield url


def code(text):
    return f"Let me see.\n\n```python\n{text}\n```\n"


async def test_an_error_is_mended_and_answered():
    model = ScriptedModel([code("total = 6 * 7\nprint(totl)"), code("print(total)"), "It is 42."])
    async with Agent(model=model, sandbox="process") as agent:
        result = await agent.run("How much is six times seven?")
    assert (result.ok, result.text) == (True, "It is 42.")
    first, second = result.executions
    assert (first.status, first.error.type, first.error.line) == (Status.ERROR, "NameError", 2)
    assert second.output == "42\n"


async def test_variables_and_history_last_from_turn_to_turn():
    seen = []

    def second(messages):
        seen.extend(messages)
        return code("print(kept + 1)")

    model = ScriptedModel([code("kept = 41"), "Kept.", second, "42."])
    async with Agent(model=model, sandbox="process") as agent:
        await agent.run("Keep 41.")
        result = await agent.run("One more?")
        history = await agent.history()
    assert result.executions[0].output == "42\n", result.executions
    assert [turn.outcome.text for turn in history] == ["Kept.", "42."]
    assert any("Keep 41." in message.content for message in seen)


async def test_state_outlives_the_agent_in_its_store():
    store = MemoryStore()
    model = ScriptedModel([code("import math\nkept = [1, 2]\nopen('a.txt', 'w').write('hi')"), "Done."])
    async with Agent(model=model, sandbox="process", store=store) as agent:
        first = await agent.run("Keep a list.", files=[File.of("given.csv", b"a,b\n1,2\n")])
    again = ScriptedModel([code("print(kept, math.pi > 3, open('a.txt').read(), open('given.csv').read())"), "Done."])
    async with Agent(model=again, sandbox="process", store=store) as agent:
        result = await agent.run("Is it still there?", thread=first.thread)
    assert result.executions[0].output == "[1, 2] True hi a,b\n1,2\n\n"


async def test_files_in_and_out(tmp_path):
    (tmp_path / "in.csv").write_text("x\n1\n2\n")
    model = ScriptedModel([code("text = open('in.csv').read()\nopen('out.txt', 'w').write(text.upper())"), "Written."])
    async with Agent(model=model, sandbox="process") as agent:
        result = await agent.run("Copy it.", files=[tmp_path / "in.csv"])
        (made,) = result.files
        assert (made.name, await agent.load(made)) == ("out.txt", b"X\n1\n2\n")


async def test_events_stream_in_order():
    model = ScriptedModel([code("print('a')"), "Done."])
    async with Agent(model=model, sandbox="process") as agent:
        events = [event async for event in agent.stream("Go.")]
    kinds = [type(event) for event in events]
    assert kinds.index(CodeStarted) < kinds.index(Output) < kinds.index(StepDone)
    assert kinds[-1] is TurnDone
    assert kinds.count(TurnDone) == 1


async def test_leaving_a_stream_stops_the_turn():
    store = MemoryStore()
    async with Agent(model=ScriptedModel([code("while True: pass")]), sandbox="process", store=store) as agent:
        events = agent.stream("Loop for ever.")
        async for event in events:
            if isinstance(event, CodeStarted):
                break
        await events.aclose()
        async with asyncio.timeout(10):
            while not (turns := await store.turns(agent.thread)):
                await asyncio.sleep(0.05)
    assert turns[0].outcome.ending is Ending.STOPPED


async def test_conversations_do_not_share_variables():
    model = ScriptedModel([code("secret = 1"), "Ok.", code("print(secret)"), "No."])
    async with Agent(model=model, sandbox="process") as agent:
        await agent.run("Set.", thread="api:a")
        result = await agent.run("Read.", thread="api:b")
    assert result.executions[0].error.type == "NameError"


async def test_a_limit_is_a_result_and_a_failure_is_an_exception():
    async with Agent(model=ScriptedModel([code("print(1)")]), sandbox="process", limits=Limits(steps=1)) as agent:
        result = await agent.run("Go on.")
    assert (result.ok, result.outcome.limit) == (False, "steps")
    async with Agent(model=ScriptedModel([ModelRefused("The key is wrong.")]), sandbox="process") as agent:
        with pytest.raises(RunFailed, match="key is wrong"):
            await agent.run("Go.")


async def test_one_message_at_a_time_in_a_conversation():
    async with Agent(model=ScriptedModel([code("import time; time.sleep(1)"), "Done."]), sandbox="process") as agent:
        running = asyncio.create_task(agent.run("First."))
        await asyncio.sleep(0.1)
        with pytest.raises(ConfigurationInvalid, match="another message"):
            await agent.run("Second.")
        assert (await running).ok


async def test_a_pool_hands_out_unused_sandboxes():
    model = ScriptedModel([code("x = 1"), "Ok.", code("print('x' in globals())"), "Ok."])
    async with Agent(model=model, sandbox="process", pool=2) as agent:
        await agent.run("a", thread="api:a")
        result = await agent.run("b", thread="api:b")
    assert result.executions[0].output == "False\n"


async def test_no_model_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationInvalid, match="OPENAI_API_KEY"):
        async with Agent(sandbox="process"):
            pass


async def test_an_unknown_thread_is_a_sentence():
    with pytest.raises(ThreadNotFound):
        await MemoryStore().thread(ThreadId("api:none"))


def test_run_sync():
    result = run_sync("Six times seven?", model=ScriptedModel([code("6 * 7"), "42"]), sandbox=ProcessSandbox())
    assert isinstance(result, Result)
    assert result.executions[0].value == "42"


@pytest.mark.needs("docker")
@pytest.mark.parametrize("page", ["README.md", "docs/api.md", "docs/agent.md"])
def test_the_documented_code_runs(page, tmp_path, monkeypatch, model_url, docker_image, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("CODEACT_IMAGE", docker_image)
    (tmp_path / "orders.csv").write_text("week,orders\n1,10\n2,12\n")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {"__name__": "__main__"})  # the documentation's own code
    assert page == "docs/agent.md" or "1267650600228229401496703205376" in capsys.readouterr().out


async def test_a_fault_of_ours_is_logged_and_the_agent_goes_on(caplog):
    model = ScriptedModel([RuntimeError("a bug"), "Still here."])
    async with Agent(model=model, sandbox="process") as agent:
        with pytest.raises(RunFailed, match="its log has the details"):
            await agent.run("Break.")
        assert (await agent.run("Are you there?")).text == "Still here."
    assert "a bug" in caplog.text


async def test_code_waits_for_a_yes_where_that_is_asked_for():
    model = ScriptedModel([code("x = 6 * 7\nprint(x)"), code("print(x + 1)"), "I leave it."])
    async with Agent(model=model, sandbox="process", approve="code") as agent:
        asked = await agent.run("How much?")
        assert (asked.ok, asked.outcome.ending, asked.executions) == (False, Ending.APPROVAL, ())
        assert asked.proposal.code == "x = 6 * 7\nprint(x)"
        second = await agent.approve(asked)
        assert [execution.output for execution in second.executions] == ["42\n"]
        assert second.proposal.code == "print(x + 1)"
        void = await agent.approve(asked)
        assert void.outcome.ending is Ending.STOPPED
        assert void.executions == ()
        with pytest.raises(ConfigurationInvalid, match="does not ask"):
            await agent.approve(void)


async def test_a_no_ends_it_and_the_setting_counts_where_nothing_else_is_said(monkeypatch):
    monkeypatch.setenv("CODEACT_APPROVE", "code")
    async with Agent(model=ScriptedModel([code("print(1)"), "Fine."]), sandbox="process") as agent:
        declined = await agent.decline(await agent.run("How much?"))
        assert (declined.outcome.ending, declined.proposal) == (Ending.STOPPED, None)
        assert (await agent.run("Well?")).text == "Fine."
    async with Agent(model=ScriptedModel([code("print(1)"), "Fine."]), sandbox="process", approve="nothing") as agent:
        assert (await agent.run("How much?")).ok
