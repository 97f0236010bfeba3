"""The worker on a real sandbox: one turn per thread, stops, lost leases, a database that is away, answers that are owed."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from codeact_bot import service as service_module
from codeact_bot.agent.loop import Loop
from codeact_bot.desk import StoreDesk
from codeact_bot.errors import LeaseLost, StoreUnavailable
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.patience import NO_STORE
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.store.memory import MemoryStore
from codeact_bot.thread_session import STATE_LOST
from codeact_bot.types import (
    Author,
    CodeStarted,
    Completion,
    Ending,
    File,
    Fire,
    Incoming,
    Notice,
    Outcome,
    RunCode,
    Status,
    Step,
    StepDone,
    ThreadId,
    TurnDone,
    now,
)

ONE, TWO = ThreadId("test:1"), ThreadId("test:2")
ANN = Author(id="u1", name="Ann")
SOON = 20


def code(text):
    return f"I look.\n\n```python\n{text}\n```\n"


def message(name, thread=ONE, text="Go.", files=()):
    return Incoming(id=name, thread=thread, author=ANN, text=text, files=files)


class Shaky(MemoryStore):
    """A memory store whose database goes away for a number of calls, or whose lease is taken by another."""

    def __init__(self):
        super().__init__()
        self.failures = {}
        self.stolen = False
        self.mistaken = False
        self.calls = []

    def _try(self, name):
        self.calls.append(name)
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise StoreUnavailable("MongoDB does not answer.")

    async def claim(self, owner, seconds, prefixes):
        self._try("claim")
        return await super().claim(owner, seconds, prefixes)

    async def open_turn(self, lease):
        self._try("open_turn")
        return await super().open_turn(lease)

    async def save_step(self, lease, turn_id, step):
        self._try("save_step")
        await super().save_step(lease, turn_id, step)

    async def end_turn(self, lease, turn_id, outcome):
        self._try("end_turn")
        return await super().end_turn(lease, turn_id, outcome)

    async def stop_asked(self, lease):
        if self.stolen:
            raise LeaseLost("Another worker has it.")
        if self.mistaken:
            raise KeyError("a mistake")
        return await super().stop_asked(lease)

    async def save_snapshot(self, lease, snapshot):
        self._try("save_snapshot")
        await super().save_snapshot(lease, snapshot)

    async def release(self, lease):
        self._try("release")
        await super().release(lease)


@dataclass
class Post:
    """Keeps what is shown; its platform may be away for the end of a turn."""

    chat: "Chat"
    turn: object
    reference: str = ""
    closed: bool = False
    shown: list = field(default_factory=list)

    async def show(self, event):
        self.shown.append(event)
        self.chat.heard.append((self.turn.incoming.id, event))
        self.chat.news.set()
        if isinstance(event, TurnDone):
            await self.chat.platform.wait()
            self.chat.delivered.append(event.turn)
        if isinstance(event, StepDone) and self.chat.moves:
            self.reference = f"post-{len(self.shown)}"
        self.chat.news.set()

    async def aclose(self):
        self.closed = True

    def of(self, kind):
        return [event for event in self.shown if isinstance(event, kind)]


class Chat:
    """A platform of a test."""

    prefixes = ("test:",)

    def __init__(self):
        self.over = asyncio.Event()
        self.platform = asyncio.Event()
        self.platform.set()
        self.news = asyncio.Event()
        self.inbox = None
        self.posts, self.heard, self.delivered, self.settled = [], [], [], []
        self.broken = 0
        self.moves = False

    async def listen(self, inbox):
        self.inbox = inbox
        await self.over.wait()

    async def reply(self, turn):
        if self.broken:
            self.broken -= 1
            raise RuntimeError("the platform's library has a fault")
        post = Post(self, turn, turn.reply)
        self.posts.append(post)
        return post

    async def settle(self, asked, by):
        self.settled.append((asked, by))
        self.news.set()

    async def until(self, fits):
        async with asyncio.timeout(SOON):
            while not fits():
                self.news.clear()
                await self.news.wait()

    async def ended(self, count=1):
        await self.until(lambda: len(self.delivered) >= count)

    def kinds(self, name):
        return [type(event) for incoming, event in self.heard if incoming == name]


@asynccontextmanager
async def working(store, chat, replies, *, concurrency=50, delay=0.0, grace=0.0, sandbox=None, approve=False):
    """A service at work; it ends with the body."""
    sandbox = sandbox or ProcessSandbox(isolation="plain")
    model = replies if isinstance(replies, ScriptedModel) else ScriptedModel(replies, delay=delay)
    async with Sessions(sandbox, store, pool=0) as sessions:
        loop = Loop(model=model, approve=approve)
        service = Service(store=store, sessions=sessions, loop=loop, adapters=[chat], concurrency=concurrency, grace=grace)
        running = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            chat.over.set()
            await asyncio.wait([running])
            running.result()
    await sandbox.aclose()


@pytest.fixture
def store():
    return Shaky()


@pytest.fixture
async def chat():
    return Chat()


async def test_a_redelivered_message_is_answered_once(store, chat):
    async with working(store, chat, [code("print(1)"), "One."]) as service:
        assert await service.accept(message("a")) is True
        assert await service.accept(message("a")) is False
        await chat.ended()
        assert await service.accept(message("a")) is False
        await asyncio.sleep(0.2)
    assert [turn.outcome.text for turn in await store.turns(ONE)] == ["One."]
    assert len(chat.posts) == 1


async def test_a_thread_answers_one_message_at_a_time_in_order(store, chat):
    async with working(store, chat, [code("x = 1"), "A.", code("print(x)"), "B.", "C."]) as service:
        for name in "abc":
            await service.accept(message(name))
        await chat.ended(3)
    names = [name for name, _ in chat.heard]
    assert names == sorted(names), "turns of one thread overlapped"
    assert [turn.outcome.text for turn in await store.turns(ONE)] == ["A.", "B.", "C."]


async def test_only_a_turn_that_changed_the_state_saves_it(store, chat):
    async with working(store, chat, [code("x = 1"), "A.", "B.", "C."]) as service:
        for number, files in enumerate([(), (), (File.of("data.csv", b"1"),)], start=1):
            await service.accept(message(f"m{number}", files=files))
            await chat.ended(number)
    assert [name for name in store.calls if name in ("end_turn", "save_snapshot")] == ["end_turn", "save_snapshot", "end_turn", "end_turn", "save_snapshot"]


@pytest.mark.parametrize(("concurrency", "together"), [(2, True), (1, False)])
async def test_threads_run_side_by_side_up_to_the_limit(store, chat, concurrency, together):
    both = code("import time\ntime.sleep(1)\nprint('done')")
    async with working(store, chat, [both, both, "End.", "End."] if together else [both, "End."] * 2, concurrency=concurrency) as service:
        await service.accept(message("a", ONE))
        await service.accept(message("b", TWO))
        await chat.ended(2)
    order = [(name, type(event)) for name, event in chat.heard if isinstance(event, CodeStarted | StepDone)]
    begun = [index for index, (_, kind) in enumerate(order) if kind is CodeStarted]
    first_end = next(index for index, (_, kind) in enumerate(order) if kind is StepDone)
    assert (sum(index < first_end for index in begun) == 2) is together, order


async def test_stop_ends_a_run_here_and_from_another_worker(store, chat):
    endless = code("kept = 7\nwhile True: pass")
    async with working(store, chat, [endless, endless, code("print(kept)"), "7."]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
        await service.stop(ONE)
        await chat.ended(1)
        await service.accept(message("b"))
        await chat.until(lambda: CodeStarted in chat.kinds("b"))
        await store.ask_stop(ONE)
        await chat.ended(2)
        await service.accept(message("c"))
        await chat.ended(3)
    first, second, third = await store.turns(ONE)
    assert (first.outcome.ending, second.outcome.ending, third.outcome.ending) == (Ending.STOPPED, Ending.STOPPED, Ending.ANSWERED)
    assert third.steps[0].execution.output == "7\n", "the stop cost the variables"


async def test_a_message_can_be_withdrawn_while_it_waits_and_while_it_is_answered(store, chat):
    async with working(store, chat, [code("while True: pass"), "C."]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
        await service.accept(message("b"))
        assert await service.withdraw(ONE, "b") is True
        assert await service.withdraw(ONE, "a") is True
        await chat.ended(1)
        assert await service.withdraw(ONE, "a") is False
        await service.accept(message("c"))
        await chat.ended(2)
    assert [(turn.incoming.id, turn.outcome.ending) for turn in await store.turns(ONE)] == [("a", Ending.STOPPED), ("c", Ending.ANSWERED)]


async def test_a_lost_lease_ends_the_work_and_writes_nothing_more(store, chat, caplog):
    async with working(store, chat, [code("while True: pass"), "Never."]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
        store.calls.clear()
        store.stolen = True
        async with asyncio.timeout(SOON):
            while "another worker goes on" not in caplog.text:
                await asyncio.sleep(0.05)
        calls = set(store.calls)
    assert not calls & {"save_step", "end_turn", "release"}
    assert chat.posts[0].closed
    assert not chat.delivered
    assert await store.turns(ONE) == []


async def test_a_lease_that_a_fault_of_ours_keeps_from_being_renewed_is_given_up_and_not_overstayed(store, chat, caplog):
    async with working(store, chat, [code("while True: pass"), "Never."]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
        store.calls.clear()
        store.mistaken = True
        async with asyncio.timeout(SOON):
            while "another worker goes on" not in caplog.text:
                await asyncio.sleep(0.05)
        calls = set(store.calls)
    assert not calls & {"save_step", "end_turn", "release"}
    assert "a mistake" in caplog.text


async def test_a_worker_may_claim_a_thread_again_whose_lease_it_has_lost_and_is_about_to_let_go(store, chat, caplog, monkeypatch):
    monkeypatch.setattr(service_module, "LEASE_SECONDS", 2.0)
    monkeypatch.setattr(service_module, "POLL_SECONDS", 0.05)
    chat.platform.clear()
    async with working(store, chat, ["A.", code("while True: pass"), "Never."]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: TurnDone in chat.kinds("a"))
        await service.accept(message("b"))
        store.stolen = True
        await asyncio.sleep(0.5)
        store.stolen = False
        await chat.until(lambda: CodeStarted in chat.kinds("b"))
        async with asyncio.timeout(SOON):
            while "another worker goes on" not in caplog.text:
                await asyncio.sleep(0.05)
        await service.stop(ONE)
        await chat.until(lambda: TurnDone in chat.kinds("b"))
        chat.platform.set()
        await chat.ended(2)
        async with asyncio.timeout(SOON):
            while "release" not in store.calls:
                await asyncio.sleep(0.05)
    assert "Serving a thread failed" not in caplog.text
    assert [(turn.incoming.id, turn.outcome.ending) for turn in await store.turns(ONE)] == [("a", Ending.ANSWERED), ("b", Ending.STOPPED)]


async def test_the_turn_of_a_dead_worker_is_taken_up_and_its_open_step_never_runs_again(store, chat):
    await store.push(message("a"))
    lease = await store.claim("dead", 0.3, ("",))
    turn = await store.open_turn(lease)
    await store.save_reply(lease, turn.id, "post-1")
    leave = "open('ran', 'w').close()"
    opened = Step(index=0, completion=Completion(text=code(leave), model="m"), action=RunCode(thought="", code=leave))
    await store.save_step(lease, turn.id, opened)
    async with working(store, chat, [code("import os\nprint(os.path.exists('ran'))"), "Mended."]):
        await chat.ended()
    assert chat.posts[0].turn.reply == "post-1", "the post of before is not gone on with"
    (done,) = await store.turns(ONE)
    lost, looked, _ = done.steps
    assert lost.execution.status is Status.LOST
    assert looked.execution.output == "False\n"


async def test_a_database_that_goes_away_is_waited_for_and_the_person_told_once(store, chat):
    store.failures = {"save_step": 3, "end_turn": 2}
    async with working(store, chat, [code("print(1)"), "One."]) as service:
        await service.accept(message("a"))
        await chat.ended()
    (turn,) = await store.turns(ONE)
    assert turn.outcome.text == "One."
    assert turn.steps[0].execution.output == "1\n"
    notices = [event.text for event in chat.posts[0].of(Notice)]
    assert notices == [NO_STORE, NO_STORE], "once for the step, once for the end"


async def test_a_database_that_is_away_at_the_claim_is_asked_again(store, chat):
    store.failures = {"claim": 2}
    async with working(store, chat, ["One."]) as service:
        await service.accept(message("a"))
        await chat.ended()


async def test_a_fault_of_an_adapter_is_logged_and_tried_again_later_not_at_once(store, chat, caplog, monkeypatch):
    monkeypatch.setattr(service_module, "LEASE_SECONDS", 1.0)
    chat.broken = 2
    async with working(store, chat, ["One."]) as service:
        await service.accept(message("a"))
        await chat.ended()
    assert [turn.outcome.text for turn in await store.turns(ONE)] == ["One."]
    assert sum("Serving a thread failed" in record.message for record in caplog.records) == 2
    assert store.calls.count("open_turn") == 3
    assert store.calls.count("release") == 1


async def test_a_changed_post_is_remembered(store, chat):
    chat.moves = True
    async with working(store, chat, [code("print(1)"), code("print(2)"), "Done."]) as service:
        await service.accept(message("a"))
        await chat.ended()
    (turn,) = await store.turns(ONE)
    assert turn.reply.startswith("post-")


async def test_an_answer_that_cannot_be_delivered_is_owed_and_does_not_hold_up_the_thread(store, chat):
    chat.platform.clear()
    async with working(store, chat, ["A.", "B."]) as service:
        await service.accept(message("a"))
        await service.accept(message("b"))
        await chat.until(lambda: TurnDone in chat.kinds("b"))
        assert chat.delivered == []
        chat.platform.set()
        await chat.ended(2)
    assert await store.claim_delivery("later", 1, ("",)) is None


async def test_an_owed_answer_is_delivered_by_the_next_worker(store, chat, monkeypatch):
    monkeypatch.setattr("codeact_bot.store.records.GRACE", 0)
    await store.push(message("a"))
    lease = await store.claim("dead", 0.2, ("",))
    turn = await store.open_turn(lease)
    await store.save_reply(lease, turn.id, "post-1")
    await store.end_turn(lease, turn.id, Outcome(ending=Ending.ANSWERED, text="Owed."))
    await store.release(lease)
    async with working(store, chat, []):
        await chat.ended()
    assert (chat.posts[0].turn.reply, chat.delivered[0].outcome.text) == ("post-1", "Owed.")
    assert await store.claim_delivery("later", 1, ("",)) is None


async def test_ending_the_service_stops_what_runs_and_leaves_the_turn_for_the_next(store, chat):
    async with working(store, chat, [code("while True: pass")]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.get_name().startswith("Task-")]
    assert [incoming.id for incoming in await store.pending(ONE)] == ["a"]
    assert await store.claim("next", 1, ("",)) is not None, "the lease was not given back"


async def test_files_of_the_message_are_in_the_working_folder(store, chat):
    async with working(store, chat, [code("print(open('a.csv').read())"), "Read."]) as service:
        await service.accept(message("a", files=(File.of("a.csv", b"x,y\n"),)))
        await chat.ended()
    (turn,) = await store.turns(ONE)
    assert turn.steps[0].execution.output == "x,y\n\n"


async def test_a_fault_inside_a_turn_is_an_answer_with_the_turn_to_look_up(store, chat, caplog):
    caplog.set_level(logging.ERROR)
    async with working(store, chat, [RuntimeError("a fault of ours")]) as service:
        await service.accept(message("a"))
        await chat.ended()
    (turn,) = await store.turns(ONE)
    assert turn.outcome.ending is Ending.FAILED
    assert turn.id in turn.outcome.text
    assert "a fault of ours" in caplog.text
    assert "a fault of ours" not in turn.outcome.text


async def test_the_state_is_saved_after_each_step_and_outlives_a_worker_that_dies_in_the_next(store, chat):
    async with working(store, chat, [code("x = 41"), code("import os\nos.getppid() and __import__('time').sleep(60)")]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: chat.kinds("a").count(CodeStarted) == 2)
        async with asyncio.timeout(SOON):
            while not (saved := await store.load_snapshot(ONE)) or saved.behind:
                await asyncio.sleep(0.02)
        store.stolen = True
        await asyncio.sleep(service_module.POLL_SECONDS * 1.5)
    assert "x" in saved.names
    store.stolen = False
    store._threads[ONE].until = None
    second = Chat()
    async with working(store, second, [code("print(x + 1)"), "42."]):
        await second.ended()
    (turn,) = await store.turns(ONE)
    assert [step.execution.status for step in turn.steps[:-1]] == [Status.OK, Status.LOST, Status.OK]
    assert turn.steps[2].execution.output == "42\n"


async def test_a_sandbox_that_another_worker_has_overtaken_gives_way(store, chat):
    other = Chat()
    async with working(store, chat, [code("x = 1"), "A.", code("print(x)"), "C."]) as first, working(store, other, [code("x = 2"), "B."]):
        chat.prefixes, other.prefixes = ("test:",), ()
        await first.accept(message("a"))
        await chat.ended(1)
        chat.prefixes, other.prefixes = (), ("test:",)
        await first.accept(message("b"))
        await other.ended(1)
        chat.prefixes, other.prefixes = ("test:",), ()
        await first.accept(message("c"))
        await chat.ended(2)
    assert [step.execution.output for step in (await store.turns(ONE))[2].steps if step.execution] == ["2\n"]


async def test_state_that_could_not_be_saved_is_named_to_person_and_model(store, chat, monkeypatch):
    monkeypatch.setattr("codeact_bot.keeper.AGAIN", 0.01)
    store.failures = {"save_snapshot": 1000}
    async with working(store, chat, [code("x = 1"), "A."]) as service:
        await service.accept(message("a"))
        await chat.ended(1)
    store.failures = {}
    second = Chat()
    async with working(store, second, [code("'x' in globals()"), "B."]) as service:
        await service.accept(message("b"))
        await second.ended(1)
    look = (await store.turns(ONE))[1].steps[0]
    assert look.execution.value == "False"
    assert STATE_LOST in look.execution.notes
    assert STATE_LOST in look.observation


@pytest.mark.parametrize("grace", [SOON, 0.0])
async def test_a_worker_that_leaves_finishes_or_hands_back_and_takes_nothing_more(store, chat, grace):
    slow = code("import time\nfor _ in range(15): time.sleep(0.1)\nprint('done')")
    async with working(store, chat, [slow, "A.", "never"], grace=grace) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
        assert service.leave() == 1
        await service.accept(message("b", TWO))
        async with asyncio.timeout(SOON):
            while service._turns:
                await asyncio.sleep(0.02)
    assert len(chat.delivered) == (1 if grace else 0)
    second = Chat()
    async with working(store, second, ["B."] if grace else ["A again.", "B."]):
        await second.ended(1 if grace else 2)
    assert len(await store.turns(ONE)) == len(await store.turns(TWO)) == 1
    runs = [step.execution.status for step in (await store.turns(ONE))[0].steps if step.execution]
    assert runs == [Status.OK if grace else Status.LOST]


async def test_a_sandbox_that_sleeps_is_woken_with_its_state(store, chat):
    sandbox = ProcessSandbox(isolation="plain")
    async with Sessions(sandbox, store, pool=0) as sessions:
        model = ScriptedModel([code("x = 41\nopen('notes.txt', 'w').write('kept')"), "A.", code("print(x + 1, open('notes.txt').read())"), "B."])
        service = Service(store=store, sessions=sessions, loop=Loop(model=model), adapters=[chat])
        running = asyncio.create_task(service.run())
        await service.accept(message("a"))
        await chat.ended(1)
        async with asyncio.timeout(SOON):
            while service._turns:
                await asyncio.sleep(0.01)
        assert await sessions.hibernate(60) == 0, "it was just used"
        assert await sessions.hibernate(0) == 1
        assert not sessions._threads
        await service.accept(message("b"))
        await chat.until(lambda: CodeStarted in chat.kinds("b"))
        assert await sessions.hibernate(0) == 0, "it is in use"
        await chat.ended(2)
        chat.over.set()
        await running
    await sandbox.aclose()
    (step, _) = (await store.turns(ONE))[1].steps
    assert step.execution.output == "42 kept\n"
    assert step.execution.notes == (), "the person notices nothing"


async def test_a_rewound_conversation_goes_on_with_the_variables_of_then(store, chat):
    replies = [code("x = 1"), "A.", code("x = 2\nopen('new.txt', 'w').close()"), "B.", code("import os\nprint(x, os.path.exists('new.txt'))"), "C."]
    async with working(store, chat, replies) as service:
        for number, name in enumerate("ab", start=1):
            await service.accept(message(name))
            await chat.ended(number)
        async with asyncio.timeout(SOON):
            while service._turns:
                await asyncio.sleep(0.01)
        fork = (await StoreDesk(store).fork(ONE, 1)).thread
        await service.accept(message("c", fork))
        await chat.ended(3)
    assert [turn.incoming.id for turn in await store.turns(fork)] == ["a", "c"]
    look = (await store.turns(fork))[1].steps[0]
    assert (look.execution.output, look.execution.notes) == ("1 False\n", ())
    assert len(await store.turns(ONE)) == 2


async def test_a_scheduled_run_that_comes_late_says_so_and_one_that_is_skipped_runs_nothing(store, chat):
    fire = Fire(schedule="s", said="every hour (UTC)", due=now(), note="This comes late.")
    async with working(store, chat, [code("print(1)"), "One."]) as service:
        await service.accept(replace(message("a"), fire=fire))
        await chat.ended()
        await service.accept(replace(message("b"), fire=replace(fire, note="It was missed.", skipped=True)))
        await chat.ended(2)
    late, missed = await store.turns(ONE)
    assert [event.text for event in chat.posts[0].of(Notice)] == ["This comes late."]
    assert late.outcome.text == "One."
    assert (missed.outcome.ending, missed.outcome.text, missed.steps) == (Ending.MISSED, "It was missed.", ())
