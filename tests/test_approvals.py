"""Code that runs only once a person has approved it: exactly that code, once, whoever says yes and whenever, in a real sandbox on every store."""

import asyncio
import json
import signal
import sys
import uuid
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.common.approvals import ANSWERED, CHANGED, OVERTAKEN, VOID, approving, refusal, settled
from codeact_bot.agent import approvals
from codeact_bot.agent.window import Window, turn_messages
from codeact_bot.audit import turn_entries
from codeact_bot.desk import StoreDesk
from codeact_bot.export import export
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import (
    Author,
    By,
    CodeStarted,
    Deed,
    Ending,
    File,
    Fire,
    Kind,
    Proposal,
    Query,
    RunCode,
    Status,
    Step,
    StepDone,
    Trail,
    TurnDone,
)
from codeact_bot.verify import verify
from tests.test_service import ANN, ONE, Chat, code, message, working

ROOT = Path(__file__).parent.parent
BOB = Author(id="u2", name="Bob")


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.needs("mongo"))])
async def store(request):
    if request.param == "memory":
        yield MemoryStore()
        return
    opened = await MongoStore.open(request.getfixturevalue("mongo_url"), f"test-{uuid.uuid4().hex}")
    yield opened
    await opened.aclose()


def yes(turn, author=BOB):
    return approving(turn, yes=True, author=author, place="")


def no(turn, author=BOB):
    return approving(turn, yes=False, author=author, place="")


async def told(store, replies, *messages):
    """Let a new worker, which asks before code runs, answer some messages; returns its chat."""
    chat = Chat()
    async with working(store, chat, replies, approve=True) as service:
        for number, each in enumerate(messages, 1):
            await service.accept(each)
            await chat.ended(number)
        async with asyncio.timeout(20):
            while service._turns:
                await asyncio.sleep(0.01)
    return chat


async def asked(store, text="print(6 * 7)", name="a", **options):
    """Ask a question that ends with a proposal; returns its turn."""
    chat = await told(store, [code(text)], message(name, **options))
    return chat.delivered[0]


class Heeding(ScriptedModel):
    """A scripted model that keeps what it was sent."""

    def __init__(self, replies):
        super().__init__(replies)
        self.requests = []

    async def complete(self, messages, hear):
        self.requests.append(messages)
        return await super().complete(messages, hear)


def outputs(turn):
    return [step.execution.output for step in turn.steps if step.execution]


async def approved(store):
    return [record.entry for record in (await store.records(Trail(kind=Deed.APPROVED))).records]


async def test_nothing_runs_before_a_yes_and_then_exactly_that_code_runs_and_the_model_goes_on(store, tmp_path):
    flag = tmp_path / "ran"
    first = await asked(store, f"open({str(flag)!r}, 'a').write('1')\nx = 42\nprint(x)")
    assert (first.outcome.ending, first.outcome.text) == (Ending.APPROVAL, approvals.QUESTION)
    (step,) = first.steps
    assert isinstance(step.action, Proposal)
    assert step.execution is None
    assert first.outcome.proposal == step.action.digest
    assert not flag.exists()
    assert not (await store.backlog(["test:"])).running, "no worker holds it"
    chat = await told(store, [code("print(x + 1)")], yes(first))
    (ran,) = chat.delivered
    assert outputs(ran) == ["42\n"]
    assert ran.steps[0].action == RunCode(thought="I look.", code=step.action.code)
    assert isinstance(ran.steps[1].action, Proposal), "the next code asks again"
    assert ran.outcome.ending is Ending.APPROVAL
    assert chat.kinds(ran.incoming.id).count(CodeStarted) == 1
    assert flag.read_text() == "1"
    chat = await told(store, ["It is 43."], yes(ran))
    assert outputs(chat.delivered[0]) == ["43\n"]
    assert chat.delivered[0].outcome.ending is Ending.ANSWERED


async def test_the_model_reads_what_it_wanted_who_approved_it_and_what_came_of_it(store):
    first = await asked(store)
    model = Heeding(["It is 42."])
    await told(store, model, yes(first))
    system, *said = model.requests[0]
    assert "A person has to approve each block" in system.content
    assert [each.role for each in said] == ["user", "assistant", "user", "assistant", "user"]
    assert "print(6 * 7)" in said[1].content
    assert said[2].content == approvals.WAITS
    assert said[3].content == approvals.QUESTION
    assert said[4].content.startswith("(Bob approved the code above.)\n\nThe code ran without an error")
    assert "42" in said[4].content


async def test_a_no_ends_it_and_the_model_knows_of_it_at_the_next_question(store):
    first = await asked(store)
    model = Heeding(["I will not."])
    chat = await told(store, model, no(first), message("b"))
    declined, after = chat.delivered
    assert declined.outcome.ending is Ending.STOPPED
    assert declined.outcome.text == "Bob declined, so this code was not run."
    assert declined.steps == ()
    assert after.outcome.text == "I will not."
    assert [each.content for each in model.requests[0][-3:-1]] == [
        "(Bob declined to have the code above run.)",
        "(This turn ended without an answer: Bob declined, so this code was not run.)",
    ]


async def test_a_question_in_between_makes_the_proposal_void(store):
    first = await asked(store)
    model = Heeding(["Other."])
    chat = await told(store, model, message("b", text="Something else."), yes(first))
    assert chat.delivered[1].outcome.text == approvals.VOID
    assert chat.delivered[1].outcome.ending is Ending.STOPPED
    assert chat.delivered[1].steps == ()
    assert "has not been run" in model.requests[0][-3].content


async def test_the_same_code_that_another_question_led_to_is_not_what_was_approved(store):
    first, second = await asked(store), await asked(store, name="b")
    assert first.outcome.proposal == second.outcome.proposal
    chat = await told(store, [], yes(first))
    assert chat.delivered[0].outcome.text == approvals.VOID
    assert chat.delivered[0].steps == ()


async def test_an_undone_question_cannot_be_approved(store):
    await told(store, ["Before."], message("before"))
    first = await asked(store)
    await store.undo(ONE)
    chat = await told(store, [], yes(first))
    assert chat.delivered[0].outcome.text == approvals.VOID


async def test_another_code_than_the_approved_one_does_not_run(store):
    first = await asked(store)
    wrong = yes(first)
    wrong = replace(wrong, approval=replace(wrong.approval, digest="0" * 64))
    chat = await told(store, [], wrong)
    assert chat.delivered[0].outcome.text == approvals.CHANGED
    assert chat.delivered[0].steps == ()


@pytest.mark.needs("mongo")
async def test_code_that_was_changed_in_the_database_does_not_run(mongo_url):
    store = await MongoStore.open(mongo_url, f"test-{uuid.uuid4().hex}")
    first = await asked(store)
    await store._database["steps"].update_one({"turn": first.id}, {"$set": {"action.code": "print('evil')"}})
    chat = await told(store, [], yes(first))
    assert chat.delivered[0].outcome.text == approvals.CHANGED
    assert chat.delivered[0].steps == ()
    await store.aclose()


async def test_code_whose_secret_was_left_out_of_the_record_does_not_run(store):
    first = await asked(store, "key = 'ghp_" + "a1" * 18 + "'")
    chat = await told(store, [], yes(first))
    assert chat.delivered[0].outcome.text == approvals.INCOMPLETE
    assert chat.delivered[0].steps == ()


async def test_two_people_at_two_workers_at_once_run_it_once(store, tmp_path):
    count = tmp_path / "count"
    first = await asked(store, f"open({str(count)!r}, 'a').write('1')")
    chats = [Chat(), Chat()]
    async with working(store, chats[0], ["Done."], approve=True) as one, working(store, chats[1], ["Done."], approve=True) as two:
        fresh = await asyncio.gather(one.accept(yes(first, ANN)), two.accept(no(first, BOB)), one.accept(yes(first, BOB)), two.accept(yes(first, ANN)))
        assert sorted(fresh) == [False, False, False, True]
        async with asyncio.timeout(20):
            while not any(chat.delivered for chat in chats):
                await asyncio.sleep(0.01)
    turns = await store.turns(ONE)
    assert len(turns) == 2
    assert count.exists() == turns[1].incoming.approval.yes
    assert not count.exists() or count.read_text() == "1"
    assert len(await approved(store)) == 1


@pytest.mark.parametrize("saved", [False, True])
async def test_a_crash_between_the_yes_and_the_end_of_the_code_runs_it_once_at_most(store, tmp_path, saved):
    count = tmp_path / "count"
    first = await asked(store, f"open({str(count)!r}, 'a').write('1')")
    await store.push(yes(first))
    lease = await store.claim("dead", 1, ["test:"])
    turn = await store.open_turn(lease)
    if saved:
        action = RunCode(thought="I look.", code=first.steps[0].action.code)
        await store.save_step(lease, turn.id, Step(index=0, completion=first.steps[0].completion, action=action))
    chat = Chat()
    async with working(store, chat, ["Gone on."], approve=True):
        await chat.ended()
    (done,) = chat.delivered
    assert done.outcome.text == "Gone on."
    assert [step.execution.status for step in done.steps[:1]] == [Status.LOST if saved else Status.OK]
    assert count.exists() is not saved
    assert [entry.status for entry in await approved(store)] == ["approved"]


async def test_a_crash_after_the_proposal_was_written_asks_and_does_not_call_it_interrupted(store):
    await store.push(message("a"))
    lease = await store.claim("dead", 1, ["test:"])
    turn = await store.open_turn(lease)
    model = Heeding([code("print(1)")])
    proposed = Proposal(thought="I look.", code="print(1)")
    completion = await model.complete([], hear=_deaf)
    await store.save_step(lease, turn.id, Step(index=0, completion=completion, action=proposed, observation=approvals.WAITS))
    chat = Chat()
    async with working(store, chat, [], approve=True):
        await chat.ended()
    (done,) = chat.delivered
    assert done.outcome == approvals.asking(proposed)
    assert done.steps[0].execution is None


async def _deaf(_):
    return False


async def test_the_answer_is_in_the_audit_before_the_code_runs(store):
    first = await asked(store)
    await told(store, ["Done."], yes(first))
    (entry,) = await approved(store)
    assert (entry.author, entry.subject, entry.digest, entry.status) == (BOB, first.id, first.outcome.proposal, "approved")
    assert entry.thread == ONE
    records = (await store.records(Trail(turn=entry.turn))).records
    kinds = [record.entry.kind for record in sorted(records, key=lambda record: record.number)]
    assert kinds.index(Deed.APPROVED) < kinds.index(Deed.CODE)
    asked_kinds = [record.entry.kind for record in (await store.records(Trail(turn=first.id))).records]
    assert Deed.CODE not in asked_kinds, "proposed code did not begin"
    assert Deed.RESULT not in asked_kinds


async def test_without_a_record_of_the_yes_nothing_runs(monkeypatch, tmp_path):
    store, flag = MemoryStore(), tmp_path / "ran"
    first = await asked(store, f"open({str(flag)!r}, 'w')")
    monkeypatch.setattr("codeact_bot.audit.WRITE_SECONDS", 0.3)
    monkeypatch.setattr("codeact_bot.service.LEASE_SECONDS", 1.0)
    append, away = store.append, asyncio.Event()

    async def appended(entries):
        if not away.is_set():
            await asyncio.sleep(3600)
        await append(entries)

    monkeypatch.setattr(store, "append", appended)
    chat = Chat()
    async with working(store, chat, ["Done."], approve=True) as service:
        await service.accept(yes(first))
        await chat.until(lambda: chat.posts)
        await asyncio.sleep(1.0)
        assert not flag.exists()
        monkeypatch.setattr(store, "append", append)
        away.set()
        service._recorder._working.cancel()
        service._recorder._working = asyncio.create_task(service._recorder._work())
        await chat.ended()
    assert flag.exists()
    assert [entry.status for entry in await approved(store)] == ["approved"]


async def test_a_no_is_in_the_audit_too(store):
    first = await asked(store)
    await told(store, [], no(first, ANN))
    (entry,) = await approved(store)
    assert (entry.author, entry.status) == (ANN, "declined")


async def test_records_of_an_answer_are_the_same_whoever_writes_them_again(store):
    first = await asked(store)
    chat = await told(store, ["Done."], yes(first))
    before = await store.receipt()
    await store.append(turn_entries(chat.delivered[0]))
    assert await store.receipt() == before


async def test_it_is_neither_a_success_nor_a_failure(store):
    first = await asked(store)
    await told(store, ["Done."], yes(first))
    (total,) = await store.totals(Query(thread=ONE), By.PLATFORM)
    assert (total.runs, total.answered, total.approval, total.failed, total.repairs) == (2, 1, 1, 0, 0)
    assert total.success == 1.0
    (run,) = (await store.search(Query(ending=Ending.APPROVAL))).runs
    assert (run.turn, run.errors, run.repairs) == (first.id, (), 0)
    assert await store.find(Query(text="print", ending=Ending.APPROVAL)), "its code is found"


async def test_files_and_variables_of_before_are_there_when_it_runs_elsewhere_much_later(store):
    first = await asked(store, "x = 5\nprint(open('data.csv').read())", files=(File.of("data.csv", b"1,2"),))
    chat = await told(store, [code("print(x)")], yes(first))
    assert outputs(chat.delivered[0]) == ["1,2\n"]
    chat = await told(store, ["Done."], yes(chat.delivered[0]))
    assert outputs(chat.delivered[0]) == ["5\n"]


async def test_exports_say_what_waited_and_what_ran(store):
    first = await asked(store, "marker = 1\nmarker")
    await told(store, ["It is 1."], yes(first))
    thread, turns = await store.thread(ONE), await store.turns(ONE)
    text = (await export(thread, turns, "md", store.load_file)).decode()
    assert "It waits for an approval and has not run." in text
    assert "### Approval" in text
    assert text.count("marker = 1") == 2
    cells = json.loads(await export(thread, turns, "ipynb", store.load_file))["cells"]
    assert [cell["source"] for cell in cells if cell["cell_type"] == "code"] == ["marker = 1\nmarker"]
    messages = json.loads(await export(thread, turns, "jsonl", store.load_file))["messages"]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user", "assistant", "user", "assistant"]
    assert "marker = 1" in messages[2]["content"]


async def test_what_was_declined_is_no_training_data(store):
    first = await asked(store, "marker = 1")
    await told(store, ["Fine."], no(first), message("b"))
    messages = (await export(await store.thread(ONE), await store.turns(ONE), "jsonl", store.load_file)).decode()
    assert "marker" not in messages


async def test_a_summary_of_a_proposal_says_that_it_did_not_run(store):
    first = await asked(store)
    long = replace(first, incoming=replace(first.incoming, text="word " * 2_000))
    messages = Window(context_tokens=9_000).fit("", [long], replace(first, steps=(), outcome=None))
    assert "I look. → not run" in messages[2].content
    assert turn_messages(first)[-1].content == approvals.QUESTION


async def test_approved_code_can_be_stopped(store):
    first = await asked(store, "import time\ntime.sleep(50)")
    chat = Chat()
    async with working(store, chat, [], approve=True) as service:
        await service.accept(yes(first))
        await chat.until(lambda: CodeStarted in chat.kinds(yes(first).id))
        await service.stop(ONE)
        await chat.ended()
    (turn,) = chat.delivered
    assert turn.outcome.ending is Ending.STOPPED
    assert [step.execution.status for step in turn.steps] == [Status.STOPPED]


async def test_a_button_says_why_it_does_nothing(store):
    desk, first = StoreDesk(store), await asked(store)
    digest = first.outcome.proposal
    assert await refusal(desk, first, digest) == ""
    assert await refusal(desk, first, digest[:32]) == ""
    assert await refusal(desk, first, "1" * 32) == CHANGED
    assert await refusal(desk, first, "") == CHANGED
    await store.push(yes(first))
    assert await refusal(desk, first, digest) == ANSWERED
    await told(store, ["Done."], message("b"))
    assert await refusal(desk, first, digest) == ANSWERED
    second = await asked(store, name="c")
    await store.push(message("d"))
    assert await refusal(desk, second, second.outcome.proposal) == VOID


async def test_a_fork_takes_along_what_waits_and_each_is_answered_by_itself(store):
    first = await asked(store, "x = 7\nprint(x)")
    fork = (await StoreDesk(store).fork(ONE, 1)).thread
    (copy,) = await store.turns(fork)
    chat = await told(store, ["Done.", "Done."], yes(copy), yes(first))
    assert [outputs(turn) for turn in chat.delivered] == [["7\n"], ["7\n"]]
    assert [turn.incoming.thread for turn in chat.delivered] == [fork, ONE]


async def test_events_of_an_asking_turn_show_its_code_as_a_step(store):
    chat = await told(store, [code("print(1)")], message("a"))
    (done,) = chat.posts[0].of(StepDone)
    assert isinstance(done.step.action, Proposal)
    assert chat.posts[0].of(CodeStarted) == []


async def test_who_asked_stays_who_asked_along_a_chain_of_approvals(store):
    first = await asked(store)
    chat = await told(store, [code("print(2)")], yes(first, BOB))
    second = chat.delivered[0]
    assert second.incoming.author == BOB
    assert second.incoming.asker == ANN
    assert yes(second).asker == ANN


async def test_the_post_that_asked_is_told_what_came_of_it_whatever_that_is(store):
    first = await asked(store)
    chat = await told(store, ["Done."], yes(first), message("b"))
    assert [(turn.id, by.id, by.approval.yes) for turn, by in chat.settled] == [(first.id, yes(first).id, True)], "once, and of a question alone nothing"
    second = await asked(store, name="c")
    chat = await told(store, [], no(second))
    assert [(turn.id, by.approval.yes) for turn, by in chat.settled] == [(second.id, False)]
    third = await asked(store, name="d")
    skipped = replace(message("e"), fire=Fire(schedule="s", said="every day", due=first.started, note="Too late.", skipped=True))
    chat = await told(store, [], skipped)
    assert [(turn.id, by.id) for turn, by in chat.settled] == [(third.id, "e")], "a run that is only told of takes it back, too"
    fourth = await asked(store, name="f")
    chat = await told(store, [], replace(message("g"), kind=Kind.REBUILD))
    assert [(turn.id, by.id) for turn, by in chat.settled] == [(fourth.id, "g")]
    assert settled(first, yes(first)) == "Approved by Bob."
    assert settled(first, no(first, ANN)) == "Declined by Ann."
    assert settled(first, yes(second)) == settled(first, message("h")) == OVERTAKEN


async def test_it_is_told_again_by_who_takes_over_and_its_failure_stops_nothing(store):
    first = await asked(store)
    await store.push(yes(first))
    await store.claim("dead", 1, ["test:"])

    class Broken(Chat):
        async def settle(self, asked, by):
            await super().settle(asked, by)
            raise RuntimeError("the platform's library has a fault")

    chat = Broken()
    async with working(store, chat, ["Done."], approve=True):
        await chat.ended()
    assert chat.delivered[0].outcome.text == "Done."
    assert [turn.id for turn, _ in chat.settled] == [first.id]


async def test_what_came_of_it_is_told_after_the_post_is_there(store):
    chat = Chat()
    chat.platform.clear()
    async with working(store, chat, [code("print(1)"), "Done."], approve=True) as service:
        await service.accept(message("a"))
        await chat.until(lambda: TurnDone in chat.kinds("a"))
        async with asyncio.timeout(20):
            while not await store.turns(ONE):
                await asyncio.sleep(0.01)
        (first,) = await store.turns(ONE)
        await service.accept(yes(first))
        await chat.until(lambda: TurnDone in chat.kinds(yes(first).id))
        assert chat.settled == []
        chat.platform.set()
        await chat.until(lambda: chat.settled)


KILLS = [
    *("after claim 1", "after open_turn 1", "before append 1", "after append 1", "before save_step 1", "before write 2", "after save_step 1"),
    *("before execute 1", "after execute 1", "before save_step 2", "after save_step 2", "before end_turn 1", "after end_turn 1", "before release 1"),
]


@pytest.mark.needs("mongo")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", KILLS)
async def test_killed_anywhere_between_the_yes_and_the_answer_it_runs_once_at_most(mongo_url, tmp_path, point):
    database, count, log = f"test-{uuid.uuid4().hex}", tmp_path / "count", tmp_path / "log"
    log.touch()
    async with aclosing(await MongoStore.open(mongo_url, database)) as store:
        first = await asked(store, f"open({str(count)!r}, 'a').write('1')")
        assert await store.push(yes(first))

        async def run(label):
            worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.approval_worker", mongo_url, database, label, str(log), cwd=ROOT)
            return await worker.wait()

        assert await run(point) == -signal.SIGKILL, f"it never came to {point}"
        while await store.pending(ONE):
            assert await run("never 1") == 0
        asking, ran = await store.turns(ONE)
        assert asking.id == first.id
        assert ran.outcome.text == "Done."
        assert len(log.read_text().splitlines()) <= 1, "code began to run once at most"
        (step, _) = ran.steps
        assert step.execution.status in (Status.OK, Status.LOST)
        assert (step.execution.status is Status.LOST) == (point in ("after save_step 1", "before execute 1", "after execute 1", "before save_step 2"))
        assert not count.exists() or count.read_text() == "1"
        assert count.exists() or step.execution.status is Status.LOST
        assert [(entry.author, entry.status) for entry in await approved(store)] == [(BOB, "approved")]
        assert (await verify(store)).faults == ()
