"""Somebody writes into the audit around the program: `verify` names what they changed, removed or inserted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from codeact_bot.store import chain
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Deed, Receipt, Span
from codeact_bot.verify import verify
from tests.store.test_contract_audit import entry

pytestmark = pytest.mark.needs("mongo")

Tamper = Callable[[Any], Awaitable[object]]
FORGED = chain.seal(entry(99), Receipt(number=4, hash="0" * 64))


@pytest.fixture
async def store(open_mongo: Callable[[], Awaitable[MongoStore]]) -> AsyncIterator[MongoStore]:
    opened = await open_mongo()
    await opened.append([entry(number) for number in range(1, 6)])
    yield opened
    await opened.aclose()


@pytest.fixture
async def raw(mongo_url: str, database: str) -> AsyncIterator[Any]:
    client: Any = AsyncIOMotorClient(mongo_url)
    yield client[database]
    client.close()


async def _linked(raw: Any, after: int, key: int) -> dict[str, Any]:
    """A well-made record that follows another."""
    return chain.seal(entry(key), chain.end(await raw.audit.find_one({"_id": after})))


async def _inserted_at(raw: Any, number: int) -> None:
    """A record that was put in the place of another."""
    forged = await _linked(raw, number - 1, 50)
    await raw.audit.replace_one({"_id": number}, forged)


async def _appended(raw: Any) -> None:
    await raw.audit.insert_one(await _linked(raw, 5, 50))


async def _rewritten(raw: Any) -> None:
    """A whole new chain, the end included."""
    after = chain.GENESIS
    await raw.audit.delete_many({})
    for number in range(1, 6):
        row = chain.seal(entry(number, text="Nothing happened."), after)
        await raw.audit.insert_one(row)
        after = chain.end(row)
    await raw.audit_end.update_one({}, {"$set": {"number": after.number, "hash": after.hash}})


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"content.text": "Yes."}}), "The content of record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"content.author": 7}}), "The content of record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$unset": {"content.author": ""}}), "The content of record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"content.extra": 1}}), "The content of record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"salt": "0"}}), "The content of record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"content": {}}}), "The content of record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$unset": {"content": "", "salt": ""}}), "The content of record 3 was removed, and no record says so."),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"kind": "ended"}}), "Record 3 (ended"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"kind": "nonsense"}}), "Record 3 (unknown"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"at": "now"}}), "Record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, [{"$set": {"at": {"$add": ["$at", 1]}}}]), "Record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"erases": [[1, 5]]}}), "Record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"hash": "0"}}), "Record 3 (refused"),
        (lambda raw: raw.audit.update_one({"_id": 3}, {"$set": {"previous": "0"}}), "Record 3 (refused"),
        (lambda raw: raw.audit.delete_one({"_id": 1}), "Record 1 was removed."),
        (lambda raw: raw.audit.delete_many({"_id": {"$in": [3, 4]}}), "Records 3 to 4 were removed."),
        (lambda raw: raw.audit.delete_many({"_id": {"$gt": 3}}), "Records 4 to 5 were removed from the end."),
        (lambda raw: raw.audit.delete_many({}), "Records 1 to 5 were removed from the end."),
        (lambda raw: raw.audit_end.delete_many({}), "The end of the chain, which is kept apart from it, was removed."),
        (lambda raw: raw.audit_end.update_one({}, {"$set": {"hash": "0"}}), "Record 5 is not the one that the chain ended with."),
        (lambda raw: raw.audit.insert_one({**FORGED, "_id": 3.5}), "A record with the key k99 was inserted outside the numbers."),
        (lambda raw: raw.audit.insert_one({**FORGED, "_id": "x"}), "A record with the key k99 was inserted outside the numbers."),
        (lambda raw: raw.audit.insert_one({**FORGED, "_id": -1}), "A record with the key k99 was inserted outside the numbers."),
        (_appended, "Record 6 was added behind the end by somebody else than this program."),
        (lambda raw: _inserted_at(raw, 3), "Record 4 does not follow record 3"),
        (lambda raw: _inserted_at(raw, 5), "Record 5 is not the one that the chain ended with."),
    ],
)
async def test_what_was_done_is_named(store: MongoStore, raw: Any, tamper: Tamper, fault: str) -> None:
    assert (await verify(store)).faults == ()
    await tamper(raw)
    faults = (await verify(store)).faults
    assert len(faults) == 1, faults
    assert faults[0].startswith(fault)


async def test_the_program_goes_on_behind_an_inserted_record_and_names_it(store: MongoStore, raw: Any) -> None:
    await _appended(raw)
    await store.append([entry(7)])
    [fault] = (await verify(store)).faults
    assert fault.startswith("Record 6 (refused")
    assert fault.endswith("was inserted.")


async def test_the_program_goes_on_when_the_end_was_removed(store: MongoStore, raw: Any) -> None:
    await raw.audit_end.delete_many({})
    await store.append([entry(7)])
    assert (await verify(store)).records == 6


async def test_a_chain_written_anew_is_found_out_by_a_receipt_alone(store: MongoStore, raw: Any) -> None:
    receipt = (await verify(store)).end
    await _rewritten(raw)
    assert (await verify(store)).faults == ()
    assert (await verify(store, receipt)).faults == ("Record 5 is not the one that the receipt is for: the chain was written anew.",)


async def test_a_receipt_finds_a_truncation_that_the_end_was_changed_for(store: MongoStore, raw: Any) -> None:
    receipt = (await verify(store)).end
    await raw.audit.delete_many({"_id": {"$gt": 3}})
    last = await raw.audit.find_one({"_id": 3})
    await raw.audit_end.update_one({}, {"$set": {"number": 3, "hash": last["hash"]}})
    assert (await verify(store)).faults == ()
    assert (await verify(store, receipt)).faults == ("Records 4 to 5 were removed from the end.",)


async def test_a_removal_that_a_record_explains_is_none(store: MongoStore, raw: Any) -> None:
    await raw.audit.update_many({"_id": {"$in": [2, 3]}}, {"$unset": {"content": "", "salt": ""}})
    await store.append([entry(7, erases=(Span(first=2, last=2),))])
    assert len((await verify(store)).faults) == 2, "a record of another kind explains nothing"
    await store.append([entry(8, kind=Deed.ERASED, erases=(Span(first=2, last=3),))])
    verdict = await verify(store)
    assert (verdict.faults, verdict.erased) == ((), 2)


async def test_a_chain_that_grows_meanwhile_holds(store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, grown = store.chain, 0

    async def chain_and_grow(after: int, limit: int) -> Any:
        nonlocal grown
        page = await whole(after, 2)
        if grown < 5:
            grown += 1
            await store.append([entry(20 + grown, at=entry().at + timedelta(seconds=grown))])
        return page

    monkeypatch.setattr(store, "chain", chain_and_grow)
    verdict = await verify(store)
    assert (verdict.faults, verdict.records) == ((), 10)


async def test_a_worker_that_dies_in_the_middle_of_a_batch_holds_up_nobody_and_loses_nothing(store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(batch: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(store, "_settle_end", dies)
    with pytest.raises(RuntimeError):
        await store.append([entry(6), entry(7)])
    monkeypatch.undo()
    assert (await verify(store)).records == 7, "whoever comes first writes it"
    await store.append([entry(7), entry(8)])
    verdict = await verify(store)
    assert (verdict.faults, verdict.records) == ((), 8)


async def test_many_workers_extend_one_chain(store: MongoStore, open_mongo: Callable[[], Awaitable[MongoStore]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeact_bot.store.audit.BATCH_BYTES", 2_000)
    others = [await open_mongo() for _ in range(4)]
    await asyncio.gather(*(each.append([entry(100 * number + n) for n in range(20)]) for number, each in enumerate(others, start=1)))
    verdict = await verify(store)
    assert (verdict.faults, verdict.records) == ((), 85)
    for each in others:
        await each.aclose()
