"""What is recorded of turns as a service answers them, whatever happens meanwhile."""

import asyncio
import logging

import pytest

from codeact_bot import audit
from codeact_bot.errors import StoreUnavailable
from codeact_bot.redaction import LEFT_OUT, MARK
from codeact_bot.service import SECRET_ASKED
from codeact_bot.store.memory import MemoryStore
from codeact_bot.types import CodeStarted, Deed, Ending, Entry, File, Incoming, Notice, Output, Trail
from codeact_bot.verify import verify
from tests.test_service import ANN, ONE, SOON, Chat, code, message, working

SECRET = "xoxb-1234567890-abcdefGHIJ"


class Store(MemoryStore):
    """A memory store whose audit may be away, or fall over a record, and that tells what it had recorded when a turn ended."""

    def __init__(self):
        super().__init__()
        self.away, self.poison, self.at_end, self.batches = 0, "", [], []

    async def append(self, entries):
        self.batches.append(len(entries))
        if self.away > 0:
            self.away -= 1
            raise StoreUnavailable("MongoDB does not answer.")
        if any(entry.key == self.poison for entry in entries):
            raise ValueError("a fault of ours")
        await super().append(entries)

    async def end_turn(self, lease, turn_id, outcome):
        self.at_end.append([record.entry.kind for record in reversed((await self.records(Trail(turn=turn_id))).records)])
        return await super().end_turn(lease, turn_id, outcome)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
async def chat():
    return Chat()


async def kinds(store, **trail):
    return [record.entry.kind for record in reversed((await store.records(Trail(**trail))).records)]


WHOLE = [Deed.ASKED, Deed.REQUESTED, Deed.CODE, Deed.RESULT, Deed.REQUESTED, Deed.ENDED]


async def test_all_that_a_turn_did_is_durable_before_it_ends_and_its_end_before_it_counts_as_delivered(store, chat):
    async with working(store, chat, [code("print(6 * 7)\nopen('a.txt', 'w').write('x')"), "42."]) as service:
        await service.accept(message("a", files=(File.of("in.csv", b"1"),)))
        await chat.ended()
        async with asyncio.timeout(SOON):
            while store._owed:
                await asyncio.sleep(0.01)
        assert await kinds(store) == WHOLE
    assert store.at_end == [WHOLE[:-1]]
    asked, request, ran, result, _, end = [record.entry for record in reversed((await store.records(Trail())).records)]
    assert (asked.author, asked.thread, asked.text, [file.name for file in asked.files]) == (ANN, ONE, "Go.", ["in.csv"])
    assert (request.status, request.step) == ("runcode", 0)
    assert ran.text == "print(6 * 7)\nopen('a.txt', 'w').write('x')"
    assert (result.text, result.status, [file.name for file in result.files]) == ("42\n1", "ok", ["a.txt"])
    assert (end.text, end.status) == ("42.", Ending.ANSWERED)
    assert (await verify(store)).faults == ()


async def test_records_gather_and_wait_for_a_database_that_is_away(store, chat):
    store.away = 3
    async with working(store, chat, [code("x = 1"), code("x = 2"), "Done."]) as service:
        await service.accept(message("a"))
        await chat.ended()
    assert len(await kinds(store)) == 9
    assert max(store.batches) > 1


async def test_a_record_that_cannot_be_written_keeps_none_else_back(store, chat, caplog):
    async with working(store, chat, [code("x = 1"), "Done."]) as service:
        store.poison = f"{(turn := await _turn_id())}/0/code"
        await service.accept(message("a"))
        await chat.ended()
    assert await kinds(store, turn=turn) == [kind for kind in WHOLE if kind is not Deed.CODE]
    assert [record.levelno for record in caplog.records if "cannot be written" in record.message] == [logging.ERROR]


async def _turn_id():
    from codeact_bot.store.records import turn_id

    return turn_id(Incoming(id="a", thread=ONE, author=ANN, text=""))


async def test_what_a_dead_worker_did_not_record_is_recorded_by_the_next(store, chat, monkeypatch):
    """The first worker's recorder never writes; it dies while code runs."""
    monkeypatch.setattr(audit.Recorder, "note", lambda self, *entries: None)
    async with working(store, chat, [code("import time; time.sleep(60)")]) as service:
        await service.accept(message("a"))
        await chat.until(lambda: CodeStarted in chat.kinds("a"))
    assert await kinds(store) == []
    monkeypatch.undo()
    second = Chat()
    async with working(store, second, ["Interrupted."]):
        await second.ended()
    assert await kinds(store) == WHOLE
    assert [entry.entry.status for entry in (await store.records(Trail(kind=Deed.RESULT))).records] == ["lost"]


async def test_the_end_of_a_turn_whose_worker_died_before_delivering_it_is_recorded_by_who_delivers(store, chat, monkeypatch):
    monkeypatch.setattr(audit.Recorder, "note", lambda self, *entries: None)
    chat.platform.clear()
    async with working(store, chat, [code("x = 1"), "A."]) as service:
        await service.accept(message("a"))
        async with asyncio.timeout(SOON):
            while not await store.turns(ONE):
                await asyncio.sleep(0.01)
    monkeypatch.undo()
    store._owed = {name: (owner, until.replace(year=2000)) for name, (owner, until) in store._owed.items()}
    second = Chat()
    async with working(store, second, []):
        await second.ended()
    assert await kinds(store) == WHOLE


async def test_the_last_records_are_written_when_the_program_ends(store):
    async with audit.Recorder(store) as recorder:
        recorder.note(*(Entry(kind=Deed.REFUSED, key=f"{number}") for number in range(1200)))
    assert (await store.receipt()).number == 1200
    assert store.batches == [500, 500, 200]


async def test_a_database_that_stays_away_does_not_keep_the_program_from_ending(store, monkeypatch, caplog):
    monkeypatch.setattr(audit, "WRITE_SECONDS", 0.1)
    store.away = 10**6
    async with audit.Recorder(store) as recorder:
        recorder.note(Entry(kind=Deed.REFUSED))
    assert "1 records of the audit were not written" in caplog.text


async def test_secrets_reach_neither_store_nor_model_nor_person(store, chat):
    replies = [code(f"token = '{SECRET}'\nfor piece in ('xo', 'xb-1234567890', '-abcdefGHIJ\\n'):\n    print(piece, end='', flush=True)"), f"It is {SECRET}."]
    async with working(store, chat, replies) as service:
        await service.accept(message("a", text=f"What is {SECRET} for?"))
        await chat.ended()
    [turn] = await store.turns(ONE)
    assert turn.incoming.text == f"What is {MARK}Slack token] for?"
    assert turn.outcome.text == f"It is {MARK}Slack token]."
    run = turn.steps[0].execution
    assert (run.output, run.notes) == (f"{MARK}Slack token]\n", (LEFT_OUT,))
    assert MARK in turn.steps[0].observation
    assert [event.text for _, event in chat.heard if isinstance(event, Notice)] == [SECRET_ASKED]
    assert "".join(event.text for _, event in chat.heard if isinstance(event, Output)) == run.output
    assert SECRET not in repr((chat.heard, turn, await store.records(Trail())))
