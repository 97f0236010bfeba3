"""The loop on a real sandbox: what runs, what is saved, what people see, and how it ends."""

import asyncio

import pytest

from codeact_bot.agent.loop import Loop
from codeact_bot.errors import ModelUnavailable
from codeact_bot.model.scripted import Broken, ScriptedModel
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.types import (
    Answer,
    Author,
    CodeStarted,
    Completion,
    Ending,
    Incoming,
    Limits,
    Notice,
    RunCode,
    Status,
    Step,
    Thought,
    ThoughtDropped,
    ThreadId,
    Turn,
)


def code(text, thought="I look."):
    return f"{thought}\n\n```python\n{text}\n```\n"


@pytest.fixture
async def session():
    sandbox = ProcessSandbox()
    session = await sandbox.start("test")
    yield session
    await session.aclose()
    await sandbox.aclose()


class Stage:
    """Runs turns and keeps what was saved and shown."""

    def __init__(self, session):
        self.session, self.saved, self.shown, self.stop = session, [], [], asyncio.Event()

    async def save(self, step):
        self.saved.append(step)

    async def show(self, event):
        self.shown.append(event)

    async def turn(self, model, *, limits=Limits(), steps=(), past=()):
        incoming = Incoming(id="1", thread=ThreadId("test:1"), author=Author(id="u", name="Una"), text="How many?")
        loop = Loop(model=model, limits=limits)
        return await loop.turn(Turn(id="t", incoming=incoming, steps=steps), past, self.session, save=self.save, show=self.show, stop=self.stop)

    def of(self, kind):
        return [event for event in self.shown if isinstance(event, kind)]


@pytest.fixture
def stage(session):
    return Stage(session)


async def test_an_error_goes_back_to_the_model_and_is_mended(stage):
    model = ScriptedModel([code("d = {'a': 1}\nd['b']"), code("d['a']"), "One."])
    turn = await stage.turn(model)
    assert turn.outcome.text == "One."
    assert [type(step.action) for step in turn.steps] == [RunCode, RunCode, Answer]
    told = model.asked[1][-1].content
    assert "KeyError" in told
    assert "d['b']" in told
    assert turn.steps[0].hint in told
    assert turn.steps[1].execution.value == "1"


async def test_a_step_is_saved_open_before_it_runs_and_closed_after(stage):
    await stage.turn(ScriptedModel([code("print(1)"), "Done."]))
    assert [(step.index, step.execution is None) for step in stage.saved] == [(0, True), (0, False), (1, True)]


async def test_the_thought_streams_without_the_code(stage):
    await stage.turn(ScriptedModel([code("print(1)", "I `count` them."), "Done."]))
    text = "".join(event.text for event in stage.of(Thought))
    assert "I `count` them." in text
    assert "print(1)" not in text
    assert [event.code for event in stage.of(CodeStarted)] == ["print(1)"]


async def test_a_broken_stream_runs_nothing_twice(stage):
    turn = await stage.turn(ScriptedModel([Broken("I lo"), code("print('once')"), "Done."]))
    assert len(stage.of(ThoughtDropped)) == 1
    assert [step.execution.output for step in turn.steps if step.execution] == ["once\n"]


async def test_a_malformed_action_tells_the_model(stage):
    model = ScriptedModel([code("cat in.csv | head -3"), "Done."])
    turn = await stage.turn(model)
    assert "Nothing was run" in model.asked[1][-1].content
    assert turn.outcome.ending is Ending.ANSWERED
    assert not stage.of(CodeStarted)


async def test_an_open_step_is_reported_and_never_run_again(stage):
    left = Step(index=0, completion=Completion(text=code("print('twice?')")), action=RunCode(thought="", code="print('twice?')"))
    model = ScriptedModel(["Done."])
    turn = await stage.turn(model, steps=(left,))
    assert turn.steps[0].execution.status is Status.LOST
    assert "interrupted" in model.asked[0][-1].content
    assert not stage.of(CodeStarted)


async def test_a_stop_ends_a_hanging_model(stage):
    running = asyncio.create_task(stage.turn(ScriptedModel(["word " * 1000], delay=0.05)))
    await asyncio.sleep(0.2)
    stage.stop.set()
    async with asyncio.timeout(2):
        turn = await running
    assert turn.outcome.ending is Ending.STOPPED


async def test_a_stop_ends_running_code_and_keeps_variables(stage):
    running = asyncio.create_task(stage.turn(ScriptedModel([code("kept = 7"), code("while True: pass")])))
    while len(stage.of(CodeStarted)) < 2:
        await asyncio.sleep(0.01)
    stage.stop.set()
    turn = await running
    assert turn.outcome.ending is Ending.STOPPED
    assert turn.steps[1].execution.status is Status.STOPPED
    stage.stop.clear()
    again = await stage.turn(ScriptedModel([code("kept"), "Seven."]))
    assert again.steps[0].execution.value == "7"


async def test_a_failing_model_is_a_sentence(stage):
    turn = await stage.turn(ScriptedModel([ModelUnavailable("The model is down.")]))
    assert (turn.outcome.ending, turn.outcome.text) == (Ending.FAILED, "The model is down.")


async def test_going_in_circles_is_nudged_once_then_stopped(stage):
    model = ScriptedModel([code("print(1)")] * 4)
    turn = await stage.turn(model)
    assert turn.outcome.limit == "stuck"
    assert len(turn.steps) == 4
    assert len(stage.of(Notice)) == 1
    assert "circles" in model.asked[3][-1].content


async def test_lost_variables_are_named_to_the_model_and_the_person(stage):
    model = ScriptedModel([code("precious = 1"), code("import os\nos._exit(3)"), code("precious"), "Gone."])
    turn = await stage.turn(model)
    assert turn.steps[1].execution.status is Status.KILLED
    assert "precious" in model.asked[2][-1].content
    assert any("precious" in notice.text for notice in stage.of(Notice))
    assert "lost" in turn.steps[2].hint


async def test_the_turns_time_cuts_a_running_step(stage):
    turn = await stage.turn(ScriptedModel([code("while True: pass")] * 3), limits=Limits(turn_seconds=1))
    assert turn.outcome.limit == "turn_seconds"
    assert turn.steps[0].execution.status is Status.TIMEOUT


async def test_the_answer_is_asked_for_on_the_last_step(stage):
    model = ScriptedModel([code("print(1)"), code("print(2)")])
    turn = await stage.turn(model, limits=Limits(steps=2))
    assert "last step" in model.asked[1][-1].content
    assert turn.outcome.limit == "steps"
