"""A lost state: people are told, and its recorded code runs again as a turn of its own, in a real sandbox on every store."""

import asyncio
import uuid

import pytest

from codeact_bot.agent import replay
from codeact_bot.agent.execution import INTERRUPTED
from codeact_bot.agent.window import turn_messages
from codeact_bot.desk import StoreDesk
from codeact_bot.errors import FileRefused
from codeact_bot.export import export
from codeact_bot.sandbox.docker import DockerSandbox
from codeact_bot.store import records
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.thread_session import KILLED, STATE_BEHIND, STATE_LOST
from codeact_bot.types import CodeStarted, Completion, Ending, File, Kind, Limits, Notice, RunCode, Status, Step, StepDone
from tests.test_service import ANN, ONE, Chat, Incoming, Shaky, code, message, working


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.needs("mongo"))])
async def store(request):
    if request.param == "memory":
        yield MemoryStore()
        return
    opened = await MongoStore.open(request.getfixturevalue("mongo_url"), f"test-{uuid.uuid4().hex}")
    yield opened
    await opened.aclose()


def rebuild(name="rebuild:1", thread=ONE):
    return Incoming(id=name, thread=thread, author=ANN, text="Rebuild the state.", kind=Kind.REBUILD)


async def told(store, replies, *messages):
    """Let a new worker answer some messages, one after the other; returns its chat."""
    chat = Chat()
    async with working(store, chat, replies) as service:
        for number, each in enumerate(messages, 1):
            await service.accept(each)
            await chat.ended(number)
        async with asyncio.timeout(20):
            while service._turns:
                await asyncio.sleep(0.01)
    return chat


async def forgotten(store, monkeypatch, *replies, files=()):
    """Ask twice, and fork after the first question once its state has been dropped for its age."""
    monkeypatch.setattr(records, "STATES", 1)
    await told(store, [*replies, code("later = 1"), "B."], message("a", files=files), message("b"))
    fork = await StoreDesk(store).fork(ONE, 1)
    assert not fork.whole
    return fork.thread


def outputs(turn):
    return [step.execution.output for step in turn.steps if step.execution]


async def test_a_lost_state_is_told_offered_and_rebuilt_with_its_files(store, monkeypatch):
    data = File.of("data.csv", b"1,2")
    first = [code("rows = open('data.csv').read()"), code("1/0"), code("total = sum(map(int, rows.split(',')))\nopen('out.txt', 'w').write('made')"), "A."]
    thread = await forgotten(store, monkeypatch, *first, files=(data,))
    chat = await told(store, ["I do not know."], message("c", thread))
    (done,) = chat.delivered
    assert (done.outcome.lost, done.outcome.rebuild) == (STATE_LOST, 2)
    assert [notice.text for notice in chat.posts[0].of(Notice)] == [STATE_LOST]
    chat = await told(store, [code("print(total, open('out.txt').read(), 'later' in globals())"), "D."], rebuild(thread=thread), message("d", thread))
    made, asked = chat.delivered
    assert made.outcome.ending is Ending.ANSWERED, made.outcome.text
    assert "2 of 2 recorded steps ran again" in made.outcome.text
    assert "1 that had failed then was left out" in made.outcome.text
    assert "There are now: rows, total." in made.outcome.text
    assert (made.outcome.lost, made.outcome.rebuild) == ("", 0)
    assert [type(event) for event in chat.posts[0].shown].count(StepDone) == 2
    assert [step.action.thought for step in made.steps] == ["Again, question 1, step 1: I look.", "Again, question 1, step 3: I look."]
    assert outputs(asked) == ["3 made False\n"]
    assert asked.outcome.lost == ""
    woken = await told(store, [code("print(total, open('data.csv').read())"), "E."], message("e", thread))
    assert outputs(woken.delivered[0]) == ["3 1,2\n"], "the rebuilt state is saved"
    assert woken.delivered[0].steps[0].execution.notes == ()


async def test_a_rebuild_asked_for_twice_runs_once_and_a_later_one_runs_no_step_twice(store, monkeypatch):
    thread = await forgotten(store, monkeypatch, code("x = 1"), "A.")
    chat = Chat()
    async with working(store, chat, []) as service:
        assert await service.accept(rebuild(thread=thread))
        assert not await service.accept(rebuild(thread=thread))
        await chat.ended(1)
        await service.accept(rebuild("rebuild:2", thread))
        await chat.ended(2)
    assert [len(turn.steps) for turn in chat.delivered] == [1, 1], "the steps of a rebuild are not recorded steps"


async def test_a_rebuild_stops_at_the_first_step_that_fails_now_and_keeps_what_it_made_where_there_was_nothing(store, monkeypatch, tmp_path):
    flag = tmp_path / "there"
    flag.touch()
    steps = [code("x = 1"), code(f"y = open({str(flag)!r}).read()"), code("z = 3"), "A."]
    thread = await forgotten(store, monkeypatch, *steps)
    flag.unlink()
    chat = await told(store, [code("print(x, 'z' in globals())"), "D."], rebuild(thread=thread), message("d", thread))
    made, asked = chat.delivered
    assert made.outcome.ending is Ending.FAILED
    assert "What ran well then failed now: question 1, step 2, FileNotFoundError" in made.outcome.text
    assert "1 of 3 recorded steps ran again" in made.outcome.text
    assert "There are now: x." in made.outcome.text
    assert made.outcome.rebuild == 3, "it is offered again"
    assert outputs(asked) == ["1 False\n"]


async def test_a_state_that_is_behind_stays_where_its_rebuild_fails(tmp_path):
    store, flag = Shaky(), tmp_path / "once"
    chat = Chat()
    once = f"import os\nos.mkdir({str(flag)!r})\nx = 1"
    async with working(store, chat, [code("w = 0"), code(once), "A.", code("y = 2"), "B."]) as service:
        await service.accept(message("a"))
        await chat.ended(1)
        async with asyncio.timeout(20):
            while service._turns:
                await asyncio.sleep(0.01)
        store.failures = {"save_snapshot": 1000}
        await service.accept(message("b"))
        await chat.ended(2)
    store.failures = {}
    replies = [code("print(x, 'y' in globals())"), "C.", code("print(x)"), "D."]
    chat = await told(store, replies, message("c"), rebuild(), message("d"))
    lost, made, asked = chat.delivered
    assert (lost.outcome.lost, lost.outcome.rebuild) == (STATE_BEHIND, 4)
    assert outputs(lost) == ["1 False\n"]
    assert "FileExistsError" in made.outcome.text
    assert replay.STAYS in made.outcome.text
    assert outputs(asked) == ["1\n"], "the state of before"
    assert asked.outcome.lost == STATE_BEHIND


async def test_what_an_image_no_longer_has_is_named_and_rebuilt_elsewhere(store, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    (library / "shapes.py").write_text("class Square:\n    side = 3\n")
    made = f"import sys\nsys.path.insert(0, {str(library)!r})\nimport shapes\nsquare = shapes.Square()\nn = 4"
    await told(store, [code(made), "A."], message("a"))
    (library / "shapes.py").rename(tmp_path / "shapes.py")
    replies = [code("print(sorted(name for name in ('square', 'n') if name in globals()))"), "B."]
    chat = await told(store, replies, message("b"))
    (turn,) = chat.delivered
    assert "The saved state was restored, without " in turn.outcome.lost
    assert "square" in turn.outcome.lost
    assert turn.outcome.rebuild == 2
    (tmp_path / "shapes.py").rename(library / "shapes.py")
    chat = await told(store, [code("print(square.side, n)"), "C."], rebuild(), message("c"))
    assert outputs(chat.delivered[1]) == ["3 4\n"]


async def test_a_process_that_died_is_told_and_what_it_held_can_be_rebuilt(store):
    chat = await told(store, [code("x = 1"), code("import os\nos._exit(3)"), "A.", code("print(x)"), "B."], message("a"), rebuild(), message("b"))
    died, _, asked = chat.delivered
    assert (died.outcome.lost, died.outcome.rebuild) == (KILLED, 1)
    assert outputs(asked) == ["1\n"]


async def test_a_rebuild_can_be_stopped(store, monkeypatch, tmp_path):
    gate = tmp_path / "gate"
    slow = f"import os, time\nwhile os.path.exists({str(gate)!r}):\n    time.sleep(0.05)"
    thread = await forgotten(store, monkeypatch, code("x = 1"), code(slow), "A.")
    gate.touch()
    chat = Chat()
    async with working(store, chat, []) as service:
        await service.accept(rebuild(thread=thread))
        await chat.until(lambda: chat.kinds("rebuild:1").count(CodeStarted) == 2)
        await service.stop(thread)
        await chat.ended()
    (turn,) = chat.delivered
    assert turn.outcome.ending is Ending.STOPPED
    assert [step.execution.status for step in turn.steps] == [Status.OK, Status.STOPPED]
    assert "1 of 2 recorded steps ran again" in turn.outcome.text


@pytest.mark.parametrize("open_step", [False, True])
async def test_a_rebuild_that_a_crash_cut_off_is_reported_and_runs_nothing_twice(store, monkeypatch, tmp_path, open_step):
    count = tmp_path / "count"
    steps = [code(f"open({str(count)!r}, 'a').write('1')"), code(f"open({str(count)!r}, 'a').write('2')"), "A."]
    thread = await forgotten(store, monkeypatch, *steps)
    count.unlink()
    await store.push(rebuild(thread=thread))
    lease = await store.claim("dead", 2, ["test:"])
    turn = await store.open_turn(lease)
    begun = Step(index=0, completion=Completion(text=""), action=RunCode(thought="", code="x"))
    await store.save_step(lease, turn.id, begun if open_step else Step(index=0, completion=begun.completion, action=begun.action, execution=INTERRUPTED))
    chat = Chat()
    async with working(store, chat, []):
        await chat.ended()
    (done,) = chat.delivered
    assert done.outcome.ending is Ending.FAILED
    assert "cut off after 0 of 2 steps, and nothing was run twice. Step 1 was running and may have had effects." in done.outcome.text
    assert done.outcome.rebuild == 2
    assert [step.execution.status for step in done.steps] == [Status.LOST]
    assert not count.exists()


async def test_the_bounds_of_a_rebuild_are_its_own_and_are_said(store, monkeypatch):
    many = [code(f"x{number} = {number}") for number in range(3)]
    thread = await forgotten(store, monkeypatch, *many, "A.")
    monkeypatch.setattr(replay, "STEPS", 2)
    chat = await told(store, [], rebuild(thread=thread))
    assert (chat.delivered[0].outcome.ending, chat.delivered[0].outcome.limit) == (Ending.LIMIT, "rebuild_steps")
    assert "has 3 recorded steps, and a rebuild runs 2 at most" in chat.delivered[0].outcome.text
    monkeypatch.setattr(replay, "STEPS", 500)
    monkeypatch.setattr(replay, "SECONDS", 0.0)
    chat = await told(store, [], rebuild("rebuild:2", thread))
    assert "longer than the 0 minutes of one rebuild. 0 of 3 recorded steps ran again" in chat.delivered[0].outcome.text


async def test_more_steps_than_a_turn_may_have_are_rebuilt(store, monkeypatch):
    monkeypatch.setattr(replay, "SECONDS", 3600.0)
    many = [code(f"x = {number}") for number in range(Limits().steps - 1)]
    monkeypatch.setattr(records, "STATES", 1)
    await told(store, [*many, "A.", *many, "B.", code("y = 1"), "C."], message("a"), message("b"), message("c"))
    fork = (await StoreDesk(store).fork(ONE, 2)).thread
    chat = await told(store, [], rebuild(thread=fork))
    assert len(chat.delivered[0].steps) == 2 * len(many)
    assert chat.delivered[0].outcome.ending is Ending.ANSWERED


async def test_a_rebuild_where_nothing_ran_and_one_whose_file_is_gone_are_sentences(monkeypatch):
    store = MemoryStore()
    chat = await told(store, ["A."], message("a"), rebuild())
    assert "nothing to rebuild" in chat.delivered[1].outcome.text
    thread = await forgotten(store := MemoryStore(), monkeypatch, code("x = 1"), "A.", files=(File.of("a.txt", b"gone"),))

    async def gone(digest):
        raise FileRefused("The store holds no such file.")

    monkeypatch.setattr(store, "load_file", gone)
    chat = await told(store, [], rebuild(thread=thread))
    assert chat.delivered[0].outcome.ending is Ending.FAILED
    assert "holds no such file" in chat.delivered[0].outcome.text
    assert chat.delivered[0].outcome.rebuild == 1


async def test_a_step_whose_secret_was_left_out_of_the_record_does_not_run_again(monkeypatch):
    store = MemoryStore()
    thread = await forgotten(store, monkeypatch, code("x = 1"), code("key = 'ghp_" + "a1" * 18 + "'"), "A.")
    chat = await told(store, [], rebuild(thread=thread))
    (turn,) = chat.delivered
    assert "A secret was left out of the record of question 1, step 2, so it cannot run again. 1 of 2" in turn.outcome.text
    assert len(turn.steps) == 1


@pytest.mark.needs("docker", "image")
async def test_a_state_is_rebuilt_on_docker_after_its_container_was_removed(monkeypatch, docker_image):
    monkeypatch.setattr("tests.test_service.ProcessSandbox", lambda isolation: DockerSandbox(image=docker_image))
    store = MemoryStore()
    thread = await forgotten(store, monkeypatch, code("import pandas\nframe = pandas.DataFrame({'n': [1, 2]})"), "A.")
    chat = await told(store, ["I do not know.", code("print(frame.n.sum())"), "B."], message("c", thread), rebuild(thread=thread), message("d", thread))
    assert chat.delivered[0].outcome.lost == STATE_LOST
    assert outputs(chat.delivered[2]) == ["3\n"]


async def test_the_model_and_exports_know_of_a_rebuild_and_do_not_repeat_its_code(store, monkeypatch):
    thread = await forgotten(store, monkeypatch, code("marker = 1"), "A.")
    chat = await told(store, [], rebuild(thread=thread))
    asked, said = turn_messages(chat.delivered[0])
    assert "Ann had the recorded code of the earlier steps run again" in asked.content
    assert said.content.startswith("The state is rebuilt")
    turns = await store.turns(thread)
    notebook = (await export(await store.thread(thread), turns, "ipynb", store.load_file)).decode()
    assert notebook.count("marker = 1") == 1
    assert (await export(await store.thread(thread), turns, "json", store.load_file)).decode().count('"code": "marker = 1"') == 2
