"""The traces of real turns, as a collector receives them over HTTP."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from codeact_bot import app
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.settings import load
from tests import openai_server
from tests.operations import collector
from tests.operations.collector import Collected, attributes
from tests.operations.worker import ANN, BROKEN, FIXED, THREAD, Worker, working

pytestmark = pytest.mark.needs("mongo")

QUESTION = "What is 2 to the power of 100, Zaphod?"


async def asked_twice(worker: Worker) -> None:
    """Ask, let the sandbox go, and ask again, so that the state is restored."""
    await worker.room.ask(QUESTION, "m1")
    while any(task.get_name() == f"state {THREAD}" for task in asyncio.all_tasks()):
        await asyncio.sleep(0.05)
    await worker.app.sessions.forget(THREAD)
    await worker.room.ask(QUESTION, "m2")


async def traced(folder: Path, mongo_url: str) -> Collected:
    with collector.running() as collected, openai_server.running(first=BROKEN, code=FIXED) as model:
        async with working(folder, mongo_url, openai_base_url=model, model="small", traces=collected.address, pool=0) as worker:
            await asked_twice(worker)
    return collected


async def test_a_turn_is_a_trace_with_all_its_work_in_it(tmp_path: Path, mongo_url: str) -> None:
    collected = await traced(tmp_path, mongo_url)
    first, second = collected.named("turn")
    assert not first.parent_span_id
    assert first.trace_id != second.trace_id

    def children(turn: Span) -> list[str]:
        assert {each.parent_span_id for each in collected.spans if each.trace_id == turn.trace_id} == {b"", turn.span_id}
        return sorted(each.name for each in collected.spans if each.parent_span_id == turn.span_id)

    step = ["execution", "model request"]
    assert [name for name in children(first) if name != "snapshot"] == sorted(["claim", "delivery", "sandbox start", *step, *step, "model request"])
    assert [name for name in children(second) if name != "snapshot"] == sorted(
        ["claim", "delivery", "sandbox start", "sandbox restore", *step, "model request"]
    ), "the restored state has `power`"
    assert "snapshot" in children(first)
    for span in collected.spans:
        assert first.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano


async def test_spans_carry_ids_and_figures(tmp_path: Path, mongo_url: str) -> None:
    collected = await traced(tmp_path, mongo_url)
    turn = attributes(collected.named("turn")[0])
    assert turn["codeact.conversation"] == THREAD
    assert turn["codeact.ending"] == "answered"
    assert turn["codeact.steps"] == 3
    ours = [attributes(each) for each in collected.spans if each.trace_id == collected.named("turn")[0].trace_id]
    assert {each["codeact.conversation"] for each in ours} == {THREAD}
    named = [each["codeact.turn"] for each in ours if "codeact.turn" in each]
    assert set(named) == {turn["codeact.turn"]}
    assert len(named) == len(ours)
    failed, fixed = (attributes(each) for each in collected.named("execution")[:2])
    assert (failed["codeact.step"], failed["codeact.status"], failed["codeact.error"]) == (0, "error", "NameError")
    assert (fixed["codeact.step"], fixed["codeact.status"]) == (1, "ok")
    asked = attributes(collected.named("model request")[0])
    assert (asked["codeact.step"], asked["codeact.attempts"], asked["codeact.model"], asked["codeact.action"]) == (0, 1, "small", "RunCode")
    assert collected.resource["service.name"] == "codeact-bot"


async def test_nothing_that_anybody_wrote_leaves_the_worker(tmp_path: Path, mongo_url: str) -> None:
    sent = b"".join((await traced(tmp_path, mongo_url)).bodies)
    assert b"codeact.conversation" in sent
    for text in ("Zaphod", "2**100", "is not defined", openai_server.RESULT, "forgot", ANN.name, mongo_url):
        assert text.encode() not in sent


async def test_a_failure_marks_its_span_with_the_name_of_the_error_alone(tmp_path: Path, mongo_url: str) -> None:
    with openai_server.running() as model:
        pass
    with collector.running() as collected:
        async with working(tmp_path, mongo_url, openai_base_url=model, model="small", traces=collected.address) as worker:
            await worker.room.ask(QUESTION)
    (asked,) = collected.named("model request")
    assert (asked.status.code, asked.status.message) == (Status.STATUS_CODE_ERROR, "ModelUnavailable")
    assert attributes(asked)["codeact.result"] == "failed"
    assert not asked.events
    pooled = [each for each in collected.named("sandbox start") if "codeact.conversation" not in attributes(each)]
    assert pooled
    assert {each.parent_span_id for each in pooled} == {b""}, "what the pool does is no turn's"


async def test_a_collector_that_is_away_harms_nothing(tmp_path: Path, mongo_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with collector.running() as gone:
        pass
    with openai_server.running() as model:
        async with working(tmp_path, mongo_url, openai_base_url=model, traces=gone.address) as worker:
            turn = await worker.room.ask(QUESTION)
    assert turn.outcome is not None
    assert openai_server.RESULT in turn.outcome.text


async def test_nothing_is_sent_unless_it_is_asked_for(tmp_path: Path, mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert load().traces == ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert load().traces == "http://127.0.0.1:4318"
    monkeypatch.setenv("CODEACT_TRACES", "http://127.0.0.1:9")
    assert load().traces == "http://127.0.0.1:9"


async def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codeact_bot.telemetry", None)
    with pytest.raises(ConfigurationInvalid, match=r"codeact-bot\[telemetry\]"):
        async with app.open_observer(load(traces="http://127.0.0.1:4318"), None):
            pass
