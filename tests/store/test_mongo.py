"""What only the store on MongoDB promises: indexes, bytes kept once, outages in words, room for any step."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from codeact_bot.errors import LeaseLost, StoreUnavailable
from codeact_bot.store import records, rows
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import By, Deed, Ending, Entry, Execution, File, Part, Query, Snapshot, Status, Table, Trail, now
from codeact_bot.verify import verify
from tests import parts, replica_set
from tests.store.make import ANSWERED, ANY, MINUTE, ONE, TWO, answered, begun, claimed, message, ran, step
from tests.store.test_contract import stated

pytestmark = pytest.mark.needs("mongo")

Open = Callable[[], Awaitable[MongoStore]]


@pytest.fixture
async def store(open_mongo: Open) -> AsyncIterator[MongoStore]:
    opened = await open_mongo()
    yield opened
    await opened.aclose()


@pytest.fixture
async def raw(mongo_url: str, database: str) -> AsyncIterator[Any]:
    """The driver's own view of this test's database."""
    client: Any = AsyncIOMotorClient(mongo_url)
    yield client[database]
    await client.drop_database(database)
    client.close()


def noted(number: int) -> Entry:
    return Entry(kind=Deed.STOPPED, key=f"k{number}", text=f"No {number}.")


async def test_two_workers_extend_one_chain_and_neither_races_itself(open_mongo: Open, store: MongoStore, raw: Any) -> None:
    other = await open_mongo()
    await store.append([noted(0)])
    await raw.command("profile", 2)
    await asyncio.gather(*(each.append([noted(2 * number), noted(2 * number + 1)]) for number in range(1, 51) for each in (store, other)))
    await raw.command("profile", 0)
    verdict = await verify(other)
    assert (verdict.records, verdict.faults) == (101, ())
    moves = await raw["system.profile"].count_documents({"ns": {"$regex": r"\.audit_end$"}, "op": "update"})
    assert moves < 40, "a hundred calls are a few batches"
    await other.aclose()


async def test_a_call_that_is_cancelled_takes_no_others_records_with_it(store: MongoStore) -> None:
    calls = [asyncio.create_task(store.append([noted(number)])) for number in range(20)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[10].cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    kept = {record.entry.key for record in (await store.records(Trail())).records}
    assert kept >= {f"k{number}" for number in range(20) if number not in (0, 10)}
    assert not (await verify(store)).faults


async def test_no_query_reads_a_whole_collection(store: MongoStore, raw: Any) -> None:
    await raw.command("profile", 2)
    await answered(store, message(), step(execution=ran(error="KeyError")))
    await store.push(message("e2", TWO))
    lease = await claimed(store)
    for snapshot in (b"one", b"two"):
        await store.save_snapshot(lease, Snapshot(parts=(Part.of(snapshot),), names=(), dropped=()))
    await store.load_snapshot(TWO)
    await store.save_file(File.of("a", b"a"))
    await store.load_file(File.of("a", b"a").digest)
    await store.ask_stop(TWO)
    await store.stop_asked(lease)
    await store.threads(limit=3)
    for query in (
        Query(), Query(thread=ONE), Query(person="ann"), Query(ending=Ending.ANSWERED), Query(error="KeyError"), Query(text="mean"), Query(since=now()),
    ):  # fmt: skip
        await store.find(query)
        await store.search(query)
    for query in (Query(platform="slack"), Query(channel="slack:T1:C1"), Query(model="m"), Query(cursor=(await store.search(Query(limit=1))).cursor)):
        await store.search(query)
    for by in By:
        await store.totals(Query(), by)
    await store.append([Entry(kind=Deed.REFUSED, thread=ONE)])
    for trail in (Trail(), Trail(kind=Deed.REFUSED), Trail(person="U1"), Trail(thread=ONE), Trail(turn="t")):
        await store.records(trail)
    await store.turns(ONE, last=1)
    await store.undo(ONE)
    await store.expire(now())
    await store.forget("U1")
    await store.sweep(0)
    await raw.command("profile", 0)
    scans = [each["command"] async for each in raw["system.profile"].find({"planSummary": "COLLSCAN"})]
    assert [each for each in scans if (each.get("filter"), each.get("limit")) != ({}, 1)] == []  # GridFS looks whether its bucket is empty
    assert await raw["system.profile"].count_documents({"planSummary": {"$regex": "IXSCAN"}}) > 20
    sorted_in_memory = raw["system.profile"].find({"hasSortStage": True, "ns": {"$regex": r"\.(turns|threads)$"}})
    assert [each["command"] async for each in sorted_in_memory] == []


async def test_the_same_bytes_are_in_the_database_once(store: MongoStore, raw: Any) -> None:
    data = b"x" * 600_000
    await asyncio.gather(*(store.save_file(File.of(f"{number}", data)) for number in range(6)))
    assert await raw["files.files"].count_documents({}) == 1
    assert await raw["files.chunks"].count_documents({}) == 3


async def test_bytes_of_replaced_snapshots_are_removed(store: MongoStore, raw: Any) -> None:
    await store.push(message("a", ONE))
    await store.push(message("b", TWO))
    for lease in (await claimed(store), await claimed(store)):
        for data in (b"shared", b"shared", lease.thread.encode() * 100_000):
            await store.save_snapshot(lease, Snapshot(parts=(Part.of(data),), names=(), dropped=()))
    assert await raw["snapshots.files"].count_documents({}) == 2
    named = {each["_id"] async for each in raw["snapshots.files"].find()}
    assert set(await raw["snapshots.chunks"].distinct("files_id")) == named


async def test_documents_hold_no_bytes_of_files(store: MongoStore, raw: Any) -> None:
    file = File.of("a.bin", b"needle" * 1000)
    await answered(store, message(files=(file,)), step(execution=replace(ran(), files=(file,), images=(file,))))
    for name in ("threads", "turns", "steps"):
        assert all(["needleneedle" not in repr(document) async for document in raw[name].find()])


async def test_a_step_beyond_what_a_document_may_hold_is_kept_cut(store: MongoStore) -> None:
    table = Table(columns=("a",), rows=(("x" * 1_000_000,),) * 20, total_rows=20, total_columns=1)
    ended = await answered(store, message(), step(execution=Execution(status=Status.OK, output="y" * 20_000_000, tables=(table,))))
    run = ended.steps[0].execution
    assert run is not None
    assert "left out of the record" in run.output
    assert "left out of the record of this step" in run.notes[-1]


async def test_what_breaks_json_and_bson_elsewhere_is_stored_here(store: MongoStore) -> None:
    nasty = "\0 \ud800 \udcff $set a.b {} \u202e \U0010ffff"
    run = Execution(status=Status.ERROR, output=nasty, cut=10**30, value=nasty, notes=(nasty,), lost=(nasty,))
    ended = await answered(store, message(text=nasty.replace("\ud800", "")), step(code=nasty, execution=run), outcome=replace(ANSWERED, text=nasty))
    assert ended.steps[0].execution is not None
    assert ended.steps[0].execution.output == nasty.replace("\ud800", "\ufffd").replace("\udcff", "\ufffd")


async def test_a_claim_and_a_stale_write_at_the_same_moment_exclude_each_other(store: MongoStore, open_mongo: Open) -> None:
    """Whatever the stale worker was told it wrote, its successor has seen when it began."""
    other = await open_mongo()
    for number in range(20):
        lease, turn = await begun(store, message(f"e{number}"))
        index = 0

        async def write(lease=lease, turn=turn) -> int:
            written = -1
            try:
                for index in range(50):
                    await store.save_step(lease, turn.id, step(index, execution=ran()))
                    written = index
            except LeaseLost:
                pass
            return written

        writing = asyncio.ensure_future(write())
        await asyncio.sleep(0.002 * (number % 5))
        await other.renew(lease, 0)
        successor = await claimed(other, "worker-2")
        seen = await other.open_turn(successor)
        assert len(seen.steps) == await writing + 1, index
        await other.end_turn(successor, turn.id, ANSWERED)
        await other.release(successor)
    await other.aclose()


@pytest.mark.parametrize("first", ["pending", "turns", "thread", "undo", "claim"])
async def test_a_turn_whose_worker_died_while_ending_it_is_ended_by_the_next_to_look(store: MongoStore, raw: Any, first: str) -> None:
    lease, turn = await begun(store)
    await store.save_step(lease, turn.id, step(execution=ran()))
    await store.save_reply(lease, turn.id, "post 1")
    await store.push(message("e2"))
    await raw["threads"].update_one({"_id": ONE}, {"$set": rows.ending(ANSWERED)})
    with pytest.raises(LeaseLost):
        await store.end_turn(lease, turn.id, ANSWERED)
    await store.renew(lease, 0)
    look: dict[str, Callable[[], Awaitable[object]]] = {
        "pending": lambda: store.pending(ONE),
        "turns": lambda: store.turns(ONE),
        "thread": lambda: store.thread(ONE),
        "undo": lambda: store.undo(ONE),
        "claim": lambda: claimed(store, "worker-2"),
    }
    await look[first]()
    state = "undone" if first == "undo" else "ended"
    document = await raw["turns"].find_one({"_id": turn.id})
    assert (document["state"], document["reply"], len(document["steps"])) == (state, "post 1", 1)
    assert [each.id for each in await store.pending(ONE)] == ["e2"]
    if first == "claim":
        await raw["threads"].update_one({"_id": ONE}, {"$unset": {"lease.until": ""}})
    assert (await claimed(store)).incoming.id == "e2"


async def test_versions_of_steps_that_do_not_count_are_removed(store: MongoStore, raw: Any) -> None:
    await answered(store, message(), step(), step(execution=ran()), step(1), step(1, execution=ran()))
    assert await raw["steps"].count_documents({}) == 2


async def test_a_cancelled_write_is_whole_or_not_there(store: MongoStore, raw: Any) -> None:
    lease, turn = await begun(store)
    for index in range(10):
        writing = asyncio.ensure_future(store.save_step(lease, turn.id, step(index, execution=ran())))
        await asyncio.sleep(0.001 * (index % 4))
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    ended = await store.end_turn(lease, turn.id, ANSWERED)
    assert all(each.execution == ran() for each in ended.steps)
    assert await raw["threads"].count_documents({"pending": []}) == 1


@pytest.mark.parametrize("url", ["mysql://host", "mongodb://", "mongodb://u:secret@host:port/", "nonsense"])
async def test_an_address_that_is_none_is_explained(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="no valid MongoDB address") as caught:
        await MongoStore.open(url)
    assert "secret" not in str(caught.value)


async def test_nobody_listening_is_explained_without_the_password() -> None:
    with pytest.raises(StoreUnavailable, match="Is it running") as caught:
        await MongoStore.open(f"mongodb://user:secret@127.0.0.1:{replica_set.free_port()}/?replicaSet=rs0")
    assert "secret" not in str(caught.value)


async def test_a_standalone_server_is_refused_with_the_remedy(tmp_path: Path) -> None:
    port = replica_set.free_port()
    binary = parts.mongod()
    assert binary
    command = [binary, "--dbpath", str(tmp_path), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            await asyncio.to_thread(_await_port, port)
            with pytest.raises(StoreUnavailable, match=r"standalone.*--replSet codeact.*rs\.initiate"):
                await MongoStore.open(f"mongodb://127.0.0.1:{port}/")
        finally:
            server.terminate()


def _await_port(port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return


async def test_a_server_that_goes_away_is_explained(tmp_path: Path) -> None:
    server = replica_set.running(tmp_path)
    store = await MongoStore.open(await asyncio.to_thread(server.__enter__))
    await store.push(message())
    await asyncio.to_thread(server.__exit__, None, None, None)
    with pytest.raises(StoreUnavailable, match="Could not reach MongoDB at mongodb://127"):
        await store.push(message("e2"))
    assert await store.aclose() is None


async def test_a_store_opened_twice_on_the_same_database_shares_it(store: MongoStore, open_mongo: Open) -> None:
    other = await open_mongo()
    await store.push(message())
    assert await other.claim("w", MINUTE, ANY) is not None
    await other.aclose()


async def test_an_index_of_an_older_version_makes_room(open_mongo: Open, raw: Any) -> None:
    await raw["files.files"].create_index([("filename", 1)])
    await raw["turns"].create_index([("number", -1)], name="thread_1_state_1_number_-1")
    store = await open_mongo()
    await store.aclose()
    indexes = await raw["files.files"].index_information()
    assert indexes["filename_1"]["unique"]
    keys = (await raw["turns"].index_information())["thread_1_state_1_number_-1"]["key"]
    assert keys == [("thread", 1), ("state", 1), ("number", -1)]


async def test_forks_share_the_bytes_of_their_states_and_nothing_is_left_over(store: MongoStore, raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "STATES", 1)
    for name in "abc":
        await stated(store, name, ONE, name.encode())
    await store.fork(ONE, TWO, 3)
    uses = {each["filename"]: each["uses"] async for each in raw["snapshots.files"].find()}
    assert uses == {Part.of(b"c").digest: 4, Part.of(b"shared").digest: 4}, "the thread, its last turn, the fork, the fork's last turn"


async def test_bytes_that_are_saved_again_count_as_saved_just_now(store: MongoStore, raw: Any) -> None:
    kept, gone = File.of("kept", b"kept"), File.of("gone", b"gone")
    await answered(store, message(files=(kept, gone)))
    await store.forget("U1")
    long_ago = now() - timedelta(days=1)
    await raw["files.files"].update_many({}, {"$set": {"uploadDate": long_ago, "saved": long_ago}})
    await store.save_file(kept)
    assert await store.sweep() == 1
    assert await store.load_file(kept.digest) == b"kept"
    assert await raw["files.chunks"].count_documents({}) == 1
    assert await raw["unused"].count_documents({}) == 1, "it is looked at again later"
