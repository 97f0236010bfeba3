"""`codeact-bot audit`, `hold` and `forget`, and the upkeep of a process, on a real MongoDB."""

import csv
import io
import json
import os
import re
import sys
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from codeact_bot import ledgers
from codeact_bot.audit import turn_entries
from codeact_bot.cli import dispatch, parser
from codeact_bot.errors import CodeactError, ConfigurationInvalid, FileRefused, TurnNotFound
from codeact_bot.redaction import MARK
from codeact_bot.settings import load
from codeact_bot.store.memory import MemoryStore
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Deed, Query, Retention, ThreadId, Trail, now
from codeact_bot.upkeep import record_settings, retain
from tests.store.make import ANN, BOB, ONE, TWO, answered, message, ran, step

pytestmark = pytest.mark.needs("mongo")


@pytest.fixture
async def store(mongo_url, monkeypatch, tmp_path):
    """A database with three runs, which the commands use, too."""
    database = f"test-{uuid.uuid4().hex}"
    monkeypatch.setenv("CODEACT_MONGO_URL", mongo_url)
    monkeypatch.setenv("CODEACT_DATABASE", database)
    monkeypatch.chdir(tmp_path)
    opened = await MongoStore.open(mongo_url, database)
    for name, thread, author in (("a1", ONE, ANN), ("a2", TWO, ANN), ("b1", ONE, BOB)):
        turn = await answered(opened, message(name, thread, "=1+1 [of] zebras\tand ants", author), step(execution=ran("zebra\n", error="KeyError")), step(1))
        await opened.append(turn_entries(turn))
    yield opened
    await opened.aclose()


@pytest.fixture
def command(capfd):
    async def run(*arguments):
        status = await dispatch(parser().parse_args(arguments))
        told = capfd.readouterr()
        return status, told.out, told.err

    return run


async def ids(store, query=Query()):
    return [run.turn for run in (await store.search(query)).runs]


async def test_runs_are_listed_by_what_they_were_page_by_page(store, command):
    _, out, _ = await command("audit")
    assert [line.split("\t")[0] for line in out.splitlines()] == await ids(store)
    assert all(line.split("\t")[2:6] == ["slack:T1:C1", "Ann", "answered", "KeyError"] for line in out.splitlines()[2:])
    for given in (["--person", "U2"], ["--platform", "slack"], ["--error", "KeyError", "--text", "zebra", "--model", "m", "--channel", "discord"]):
        _, out, _ = await command("audit", *given)
        assert len(out.splitlines()) == {"--person": 1, "--platform": 2, "--error": 1}[given[0]]
    status, out, err = await command("audit", "--min-cost", "5")
    assert (status, out) == (0, "")
    assert "Nothing matches" in err
    _, out, err = await command("audit", "list", "--limit", "2")
    cursor = re.search(r"--cursor (\S+)", err)[1]
    _, rest, _ = await command("audit", "--limit", "2", "--cursor", cursor)
    assert [line.split("\t")[0] for line in (out + rest).splitlines()] == await ids(store)


async def test_a_run_opens_to_its_transcript_and_records_and_the_look_is_recorded(store, command):
    turn = (await ids(store, Query(person="U2")))[0]
    _, out, _ = await command("audit", "show", turn)
    assert "zebra" in out
    assert "mean(x)" in out
    assert [line.split("\t")[2] for line in out.splitlines() if re.match(r"\d+\t", line)] == [
        "asked", "requested", "code", "result", "requested", "code", "ended", "viewed",
    ]  # fmt: skip
    [viewed] = (await store.records(Trail(kind=Deed.VIEWED))).records
    assert (viewed.entry.turn, viewed.entry.thread) == (turn, ONE)
    with pytest.raises(TurnNotFound):
        await command("audit", "show", "nothing")
    for wrong in (["audit", "show"], ["audit", "totals", turn]):
        with pytest.raises(CodeactError, match="audit show TURN"):
            await command(*wrong)


async def test_totals_and_records_are_printed(store, command):
    _, out, _ = await command("audit", "totals", "--by", "person")
    assert [line.split("\t")[:4] for line in out.splitlines()] == [["Ann (U1)", "2", "100%", "1.0"], ["Bob Day (U2)", "1", "100%", "1.0"]]
    assert out.splitlines()[0].split("\t")[-1] == "KeyError 2"
    _, out, _ = await command("audit", "records", "--kind", "result", "--person", "U2")
    assert [line.split("\t")[2] for line in out.splitlines()] == ["result"]


async def test_the_chain_is_verified_and_a_receipt_goes_on_from_an_earlier_one(store, command):
    status, out, _ = await command("audit", "verify")
    assert status == 0
    assert "21 records: the chain holds." in out
    receipt = out.split()[-1]
    status, out, _ = await command("audit", "verify", "--receipt", receipt)
    assert status == 0
    await store._records.update_one({"_id": 4}, {"$set": {"content.text": "else"}})
    status, out, _ = await command("audit", "verify")
    assert status == 1
    assert "The content of record 4 (result" in out
    assert "the chain is broken" in out
    with pytest.raises(SystemExit):
        await command("audit", "verify", "--receipt", "5:x")


async def test_runs_are_exported_as_csv_and_json_lines_and_that_is_recorded(store, command, tmp_path):
    _, out, _ = await command("audit", "export")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["turn"] for row in rows] == await ids(store)
    assert rows[0]["question"] == "'=1+1 [of] zebras\tand ants", "a spreadsheet would run it"
    assert (rows[0]["name"], rows[0]["errors"], rows[0]["steps"]) == ("Bob Day", "KeyError", "2")
    await command("audit", "export", "--format", "jsonl", "--person", "U1", "-o", "runs.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert [line["person"] for line in lines] == ["U1", "U1"]
    assert lines[0]["errors"] == ["KeyError"]
    assert [record.entry.subject for record in (await store.records(Trail(kind=Deed.EXPORTED))).records] == ["jsonl", "csv"]
    with pytest.raises(FileRefused, match="Choose another place"):
        await command("audit", "export", "-o", "/nowhere/runs.csv")
    with pytest.raises(FileRefused, match="-o"):
        await command("audit", "export", "--format", "parquet")


async def test_parquet_keeps_types(store, command, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    await command("audit", "export", "--format", "parquet", "-o", "runs.parquet")
    table = parquet.read_table(tmp_path / "runs.parquet")
    assert table.column("turn").to_pylist() == await ids(store)
    assert table.column("errors").to_pylist() == [["KeyError"]] * 3
    assert str(table.schema.field("started").type) == "timestamp[ms, tz=UTC]"
    assert table.column("cost").to_pylist() == pytest.approx([0.02] * 3)


async def test_parquet_without_its_library_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationInvalid, match=r"codeact-bot\[parquet\]"):
        await ledgers.parquet(MemoryStore(), Query(), tmp_path / "x")


async def test_all_pages_are_exported(monkeypatch):
    monkeypatch.setattr(ledgers, "PAGE", 2)
    store = MemoryStore()
    for number in range(5):
        await answered(store, message(f"e{number}"))
    assert [len(runs) async for runs in ledgers.pages(store, Query(limit=1))] == [2, 2, 1]
    assert len(list(csv.reader(io.StringIO("".join([piece async for piece in ledgers.text(store, Query(), "csv")]))))) == 6


async def test_a_hold_keeps_what_a_person_wants_forgotten_until_it_is_released(store, command):
    assert (await command("hold", ONE))[1] == f"{ONE} is on hold: nothing of it is removed.\n"
    status, out, _ = await command("forget", "U1")
    assert status == 1
    assert "Removed: 1 question with all that came of them" in out
    assert f"{ONE} is on legal hold: nothing of it was removed. Release it first: codeact-bot hold {ONE} --release" in out
    assert (await command("hold", ONE, "--release"))[1] == f"{ONE} is released.\n"
    assert (await command("forget", "discord:U1"))[:2][0] == 0
    assert len(await ids(store)) == 2
    status, out, _ = await command("forget", "slack:U1")
    assert (status, len(await ids(store))) == (0, 1)
    assert [record.entry.status for record in (await store.records(Trail(kind=Deed.HELD))).records] == ["released", "held"]
    assert "the chain holds" in (await command("audit", "verify"))[1]
    _, out, _ = await command("audit", "records", "--limit", "99")
    assert "(its content was removed)" in out
    assert "Ann" not in out


async def test_tokens_that_are_made_and_revoked_are_recorded_without_their_secrets(store, command):
    _, secret, _ = await command("token", "create", "ci", "--role", "auditor")
    await command("token", "revoke", "ci")
    with pytest.raises(CodeactError, match="There is no token"):
        await command("token", "revoke", "ci")
    entries = [record.entry for record in (await store.records(Trail(kind=Deed.TOKEN))).records]
    assert [(each.status, each.subject, each.text) for each in entries] == [("revoked", "ci", ""), ("made", "ci", "auditor")]
    assert secret.strip() not in repr(entries)


async def test_upkeep_removes_by_age_and_platform():
    store = MemoryStore()
    for name in ("slack", "discord", "web"):
        await answered(store, message(name, ThreadId(f"{name}:1")))
    for thread in store._threads.values():
        for each in thread.turns:
            ago = now() - timedelta(days=40)
            each.turn = replace(each.turn, started=ago, ended=ago)
    await retain(store, Retention())
    assert len(await ids(store)) == 3
    await retain(store, Retention(days=30, platforms={"slack": 0, "discord": 50}))
    assert {run.channel for run in (await store.search(Query())).runs} == {"slack", "discord"}
    await retain(store, Retention(platforms={"discord": 39}))
    assert {run.channel for run in (await store.search(Query())).runs} == {"slack"}


async def test_changed_settings_are_recorded_once_and_secrets_only_as_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    store = MemoryStore()
    for name in [name for name in os.environ if name.startswith(("CODEACT_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CODEACT_LIMITS__STEPS", "7")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://ada:secret-secret-7@models.example.org/v1")
    for _ in range(2):
        await record_settings(store, load(), "serve")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-secret-1234567")
    monkeypatch.setenv("CODEACT_LIMITS__STEPS", "8")
    for _ in range(2):
        await record_settings(store, load(), "serve")
    records = [record.entry for record in (await store.records(Trail(kind=Deed.SETTINGS))).records]
    assert [[(each.name, each.before, each.after) for each in entry.changes] for entry in records] == [
        [("CODEACT_LIMITS__STEPS", "7", "8"), ("OPENAI_API_KEY", "", "set")],
        [("CODEACT_LIMITS__STEPS", "", "7"), ("OPENAI_BASE_URL", "", f"https://ada:{MARK}password]@models.example.org/v1")],
    ]
    assert "secret-secret" not in repr(records)
    await record_settings(store, load(), "chat")
    assert len((await store.records(Trail(kind=Deed.SETTINGS))).records) == 3, "another command begins for itself"


@pytest.mark.parametrize("value", ["-1", "40000"])
def test_a_retention_that_makes_no_sense_is_refused(monkeypatch, tmp_path, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEACT_RETENTION__PLATFORMS", f'{{"slack": {value}}}')
    with pytest.raises(ConfigurationInvalid, match="CODEACT_RETENTION"):
        load()
