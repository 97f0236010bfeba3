"""The measures: what docs/operations.md lists, and what a real worker counts."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from codeact_bot.errors import SandboxUnavailable
from codeact_bot.metrics import Measures
from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.observers import KNOWN, error_name
from codeact_bot.sandbox.process import ProcessSandbox
from codeact_bot.types import Activity, Backlog, CodeError, Ending, Execution, Fire, Incoming, Status, Work, now
from tests import openai_server
from tests.operations.worker import ANN, BROKEN, FIXED, THREAD, working

DOCS = Path(__file__).parent.parent.parent / "docs" / "operations.md"
Samples = dict[str, float]


def made() -> Measures:
    return Measures("1.2.3", ScriptedModel([]), ProcessSandbox())


def read(text: bytes) -> Samples:
    """Return all samples by name and labels, as Prometheus reads them."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def measured(measures: Measures, backlog: Backlog | None = None, sandboxes: tuple[int, int] = (0, 0)) -> Samples:
    return read(measures.text(backlog, sandboxes)[0])


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the kind and the labels of each metric of the page."""
    rows = re.findall(r"^\| `(codeact_\w+)` \| (\w+) \| (.*?) \| .+ \|$", DOCS.read_text(), re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_page_lists_every_metric_with_its_kind_and_labels_and_no_other() -> None:
    registry = made().registry
    real: dict[str, tuple[str, set[str]]] = {}
    for collector in registry._collector_to_names:
        if not hasattr(collector, "_labelnames"):
            continue
        family: Any = next(iter(collector.collect()))
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = {"version", "model", "sandbox"} if family.type == "info" else set(collector._labelnames)
        real[name] = ("gauge" if family.type == "info" else family.type, labels)
    assert documented() == real


def test_the_rules_of_the_page_name_metrics_that_exist() -> None:
    named = set(re.findall(r"\bcodeact_\w+", DOCS.read_text()))
    samples = {name.partition("{")[0] for name in measured(made(), Backlog(), (1, 2))}
    assert {name for name in named if not name.startswith("codeact_bot")} <= samples | set(documented())


def test_what_can_be_named_beforehand_is_there_from_the_beginning() -> None:
    found = measured(made())
    for sample in ('codeact_turns_total{ending="failed"}', 'codeact_failures_total{work="snapshot"}', 'codeact_model_seconds_count{result="failed"}'):
        assert found[sample] == 0


def test_errors_have_a_bounded_number_of_names() -> None:
    measures = made()
    for name in ("KeyError", "pandas.errors.ParserError", *(f"Made{number}Error" for number in range(1000))):
        with measures.during(Work(what=Activity.EXECUTION, thread=THREAD)) as tell:
            tell(Execution(status=Status.ERROR, error=CodeError(type=name, message="")))
    found = {name: value for name, value in measured(measures).items() if name.startswith("codeact_errors_total")}
    assert found == {
        'codeact_errors_total{type="KeyError"}': 1,
        'codeact_errors_total{type="pandas.errors.ParserError"}': 1,
        'codeact_errors_total{type="other"}': 1000,
    }


@pytest.mark.parametrize("name", sorted(name for name in KNOWN if "." in name))
def test_the_errors_of_libraries_are_named_as_the_sandbox_names_them(name: str) -> None:
    module = __import__(name.rpartition(".")[0], fromlist=["_"])
    kind = getattr(module, name.rpartition(".")[2])
    assert f"{kind.__module__}.{kind.__qualname__}" == name
    assert error_name(Execution(status=Status.ERROR, error=CodeError(type=name, message=""))) == name


def test_a_failure_is_counted_and_what_was_stopped_is_none() -> None:
    measures = made()
    for error in (SandboxUnavailable("There is none."), RuntimeError("a fault"), asyncio.CancelledError()):
        with pytest.raises(type(error)), measures.during(Work(what=Activity.START)):
            raise error
    found = measured(measures)
    assert found['codeact_failures_total{work="sandbox start"}'] == 2
    assert found['codeact_sandbox_start_seconds_count{purpose="pool"}'] == 0


@pytest.mark.parametrize(("skipped", "result"), [(False, "sent"), (True, "missed")])
def test_runs_of_schedules_are_counted_by_what_became_of_them(skipped: bool, result: str) -> None:
    measures = made()
    fire = Fire(schedule="s1", said="every day at 09:00 (UTC)", due=now(), skipped=skipped)
    with measures.during(Work(what=Activity.FIRE, thread=THREAD)) as tell:
        tell(Incoming(id="1", thread=THREAD, author=ANN, text="Go.", fire=fire))
    assert measured(measures)[f'codeact_scheduled_runs_total{{result="{result}"}}'] == 1


def test_the_gauges_are_those_of_the_store_and_of_the_sandboxes() -> None:
    backlog = Backlog(waiting=3, waiting_seconds=4.5, running=2, running_seconds=60, owed=1)
    measures = made()
    found = measured(measures, backlog, (1, 7))
    assert (found["codeact_waiting_messages"], found["codeact_waiting_seconds"]) == (3, 4.5)
    assert (found["codeact_running_turns"], found["codeact_lease_seconds"], found["codeact_deliveries_owed"]) == (2, 60, 1)
    assert (found['codeact_sandboxes{state="ready"}'], found['codeact_sandboxes{state="taken"}']) == (1, 7)
    assert found["codeact_store_up"] == 1
    assert measured(measures)["codeact_store_up"] == 0


@pytest.mark.needs("mongo")
async def test_a_worker_counts_what_it_does(tmp_path: Path, mongo_url: str) -> None:
    """A question, an error of the code, its correction, the answer."""
    prices = {"small": {"input": 1e4, "cached": 1e4, "output": 1e4}}
    with openai_server.running(first=BROKEN, code=FIXED) as model:
        async with working(tmp_path, mongo_url, openai_base_url=model, model="small", prices=prices) as worker:
            turn = await worker.room.ask("What is 2 to the power of 100?")
            assert turn.outcome is not None
            assert turn.outcome.ending is Ending.ANSWERED
            await eventually(worker, "codeact_snapshot_seconds_count", 2)
            await eventually(worker, "codeact_delivery_seconds_count", 1)
            await eventually(worker, "codeact_deliveries_owed", 0)
            assert worker.app.watch is not None
            text, kind = await worker.app.watch.metrics()
    assert kind.startswith("text/plain")
    found = read(text)
    expected = {
        'codeact_turns_total{ending="answered"}': 1,
        "codeact_turn_seconds_count": 1,
        'codeact_steps_total{action="code"}': 2,
        'codeact_steps_total{action="answer"}': 1,
        'codeact_execution_seconds_count{status="error"}': 1,
        'codeact_execution_seconds_count{status="ok"}': 1,
        'codeact_errors_total{type="NameError"}': 1,
        "codeact_refinement_steps_sum": 1,
        "codeact_refinement_steps_count": 1,
        'codeact_model_seconds_count{result="ok"}': 3,
        "codeact_model_retries_total": 0,
        'codeact_tokens_total{kind="input"}': turn.usage.input_tokens,
        'codeact_tokens_total{kind="output"}': turn.usage.output_tokens,
        "codeact_claim_seconds_count": 1,
        "codeact_delivery_seconds_count": 1,
        "codeact_snapshot_bytes_count": 2,
        "codeact_deliveries_owed": 0,
        "codeact_waiting_messages": 0,
        'codeact_sandboxes{state="taken"}': 1,
        "codeact_store_up": 1,
        f'codeact_info{{model="small",sandbox="{worker.app.sandbox.name}",version="0.1.0"}}': 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["codeact_cost_dollars_total"] == pytest.approx(turn.usage.cost)
    assert turn.usage.cost > 0
    assert sum(value for name, value in found.items() if name.startswith("codeact_sandbox_start_seconds_count")) >= 1
    assert {name: value for name, value in found.items() if name.startswith("codeact_failures_total") and value} == {}


async def eventually(worker: Any, name: str, value: float) -> None:
    """Wait until a measure has come to a value."""
    async with asyncio.timeout(60):
        while read((await worker.app.watch.metrics())[0])[name] != value:
            await asyncio.sleep(0.05)


@pytest.mark.needs("mongo")
async def test_a_conversation_that_wakes_up_is_restored_and_a_lost_model_is_a_failure(tmp_path: Path, mongo_url: str) -> None:
    with openai_server.running(first=BROKEN, code=FIXED) as model:
        async with working(tmp_path, mongo_url, openai_base_url=model, pool=0) as worker:
            await worker.room.ask("What is 2 to the power of 100?")
            await eventually(worker, "codeact_snapshot_seconds_count", 2)
            await worker.app.sessions.forget(THREAD)
            await worker.room.ask("And again?")
            await eventually(worker, "codeact_restore_seconds_count", 1)
            await eventually(worker, 'codeact_sandbox_start_seconds_count{purpose="conversation"}', 2)
    async with working(tmp_path, mongo_url, openai_base_url=model) as worker:
        turn = await worker.room.ask("Is anybody there?")
        assert turn.outcome is not None
        assert turn.outcome.ending is Ending.FAILED
        await eventually(worker, 'codeact_failures_total{work="model request"}', 1)
        await eventually(worker, 'codeact_turns_total{ending="failed"}', 1)
