"""The alerts and queries of docs/operations.md, as Prometheus itself reads them and on figures that must set them off."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operations.test_metrics import DOCS, made

pytestmark = pytest.mark.needs("promtool")

COUNTED = "0+1x60"
SERIES: dict[str, tuple[str, dict[str, str]]] = {
    "CodeactQueueStuck": ("10m", {"codeact_waiting_seconds": "130+60x60"}),
    "CodeactTurnStuck": ("10m", {"codeact_lease_seconds": "1000+60x60"}),
    "CodeactAnswersNotArriving": ("20m", {"codeact_deliveries_owed": "1+0x60"}),
    "CodeactSandboxesFail": ("20m", {'codeact_failures_total{work="sandbox start"}': COUNTED}),
    "CodeactModelFails": ("30m", {'codeact_model_seconds_count{result="failed"}': COUNTED, 'codeact_model_seconds_count{result="ok"}': COUNTED}),
    "CodeactStateNotSaved": ("20m", {'codeact_failures_total{work="snapshot"}': COUNTED}),
    "CodeactExpensive": ("30m", {"codeact_cost_dollars_total": "0+5x60"}),
    "CodeactDown": ("10m", {"codeact_store_up": "0+0x60"}),
}
"""For each alert, when it must be on, and the figures that bring it about, one a minute."""
WELL = {
    "codeact_store_up": "1+0x60",
    "codeact_waiting_seconds": "1+0x60",
    "codeact_lease_seconds": "10+0x60",
    "codeact_deliveries_owed": "0+0x60",
    'codeact_failures_total{work="sandbox start"}': "0+0x60",
    'codeact_failures_total{work="snapshot"}': "0+0x60",
    'codeact_model_seconds_count{result="failed"}': "0+0x60",
    'codeact_model_seconds_count{result="ok"}': COUNTED,
    "codeact_cost_dollars_total": "0+0.001x60",
}


def rules() -> str:
    """The alerts of the page."""
    (found,) = re.findall(r"^```yaml\n(groups:.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def queries() -> list[str]:
    """The queries of the page's table of panels."""
    (table,) = re.findall(r"^\| Question \| PromQL \|\n.*?\n\n", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| [^|]+ \| `([^`]+)`", table, re.MULTILINE)


def promtool(*words: str) -> str:
    ended = subprocess.run(["promtool", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def judged(folder: Path, tests: list[dict[str, Any]]) -> str:
    (folder / "rules.yml").write_text(rules())
    (folder / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}))
    return promtool("test", "rules", str(folder / "tests.yml"))


def case(series: dict[str, str], **checks: Any) -> dict[str, Any]:
    return {"interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series.items()], **checks}


def alert(name: str, at: str, *, on: bool) -> dict[str, Any]:
    labels = {"CodeactSandboxesFail": {"work": "sandbox start"}, "CodeactStateNotSaved": {"work": "snapshot"}}.get(name, {})
    return {"eval_time": at, "alertname": name, "exp_alerts": [{"exp_labels": labels}] if on else []}


def test_every_alert_goes_off_when_it_must_and_is_silent_while_all_is_well(tmp_path: Path) -> None:
    names = re.findall(r"- alert: (\w+)", rules())
    assert sorted(names) == sorted(SERIES)
    going_off = [case({**WELL, **series}, alert_rule_test=[alert(name, at, on=True)]) for name, (at, series) in SERIES.items()]
    silent = case(WELL, alert_rule_test=[alert(name, at, on=False) for name in names for at in ("5m", "30m", "1h")])
    gone = case({}, alert_rule_test=[alert("CodeactDown", "5m", on=True)])
    judged(tmp_path, [*going_off, silent, gone])


def test_every_query_can_be_asked(tmp_path: Path) -> None:
    """Prometheus parses each, and on a worker's own metrics each finds the series that it names."""
    found = queries()
    assert len(found) == 6
    groups = [{"name": "panels", "rules": [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(found)]}]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": groups}))
    assert f"{len(found)} rules found" in promtool("check", "rules", str(tmp_path / "panels.yml"))
    series = {sample.name for family in made().registry.collect() for sample in family.samples}
    labelled = {f"{sample.name} {name}" for family in made().registry.collect() for sample in family.samples for name in sample.labels}
    for query in found:
        for name, labels in re.findall(r"(codeact_\w+)(?:{([^}]*)})?", query):
            assert name in series or f"{name.removesuffix('_total')}" in series or name == "codeact_errors_total", name
            for label in re.findall(r"(\w+)=", labels):
                assert f"{name} {label}" in labelled


def test_a_rule_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules().replace("max(codeact_waiting_seconds) > 120", "max(codeact_waiting_seconds > 120"))
    with pytest.raises(AssertionError, match="parse error"):
        promtool("check", "rules", str(tmp_path / "rules.yml"))
