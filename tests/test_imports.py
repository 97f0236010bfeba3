"""Who may import whom, and what must not be loaded before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = {"codeact_bot.types", "codeact_bot.errors"}
CORE = DATA | {"codeact_bot.ports"}
REDACTION = {"codeact_bot.redaction"}
SERVICE = {"service", "sessions", "thread_session", "pool", "delivery", "keeper", "glimpses", "rebuild", "patience", "audit", "arrivals"}
WATCHING = {"observers", "metrics", "telemetry", "watch"}
TIMES = {"rhythm", "phrases", "schedule"}
COMMANDS = {"review", "timetable", "tokens", "sign_ins", "user", "cli", "chat", "archive", "doctor", "serve", "screen", "site", "api", "app"}
HEAVY = ("docker", "openai", "motor", "pymongo", "rich", "prompt_toolkit", "pydantic", "asyncio")

MODULES = sorted(path for package in ("codeact_bot", "adapters") for path in (ROOT / package).rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = "worker" in path.parts and node.level == 1
            assert inside or node.level == 0, f"{path}: imports are absolute, but inside the worker"
            yield f"codeact_bot.sandbox.worker.{node.module}" if inside else node.module


def ours(path):
    return {module for module in imports(path) if module.partition(".")[0] in ("codeact_bot", "adapters")}


def allowed(name):
    """Return the modules, and the packages with all in them, that a module may import."""
    head, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    if head == "adapters":
        return CORE | {"adapters.render", "adapters.common"} | ({f"adapters.{room}"} if room else set())
    if room == "types":
        return {"codeact_bot.types"}
    if room == "errors":
        return set()
    if room == "ports":
        return DATA
    if room in ("agent", "store"):
        return CORE | REDACTION | {f"codeact_bot.{room}"}
    if room in ("sandbox", "model"):
        return CORE | {f"codeact_bot.{room}"}
    if room in SERVICE:
        return CORE | REDACTION | {"codeact_bot.agent", *(f"codeact_bot.{each}" for each in SERVICE)}
    if room in WATCHING:
        return CORE | {"codeact_bot.agent", *(f"codeact_bot.{each}" for each in (*SERVICE, *WATCHING))}
    if room in TIMES:
        return CORE | {f"codeact_bot.{each}" for each in TIMES}
    if room == "desk":
        return CORE | {"codeact_bot.auditing", "codeact_bot.export", "codeact_bot.rhythm", "codeact_bot.schedule"}
    if room == "auditing":
        return CORE | {"codeact_bot.ledgers", "codeact_bot.verify"}
    if room == "export":
        return CORE | {"codeact_bot.agent", "codeact_bot.store", "codeact_bot.notebook"}
    if room == "redaction":
        return DATA
    if room == "upkeep":
        return CORE | REDACTION | {"codeact_bot.settings"}
    if room in ("settings", "log", "notebook", "clock", "verify", "ledgers", "result"):
        return CORE
    assert room in COMMANDS | {""}, f"{name} has no place in the tree yet: docs/architecture.md says where things live"
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_plan(path):
    rooms = allowed(name_of(path))
    if rooms is None:
        return
    wrong = {module for module in ours(path) if not any(module == room or module.startswith(room + ".") for room in rooms)}
    assert not wrong, f"{name_of(path)} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", [path for path in MODULES if not name_of(path).startswith("codeact_bot.types")], ids=name_of)
def test_data_has_one_address(path):
    """Which file of `codeact_bot/types/` a noun is in is the package's own affair."""
    assert not [module for module in imports(path) if module.startswith("codeact_bot.types.")]


@pytest.mark.parametrize("path", sorted((ROOT / "codeact_bot/sandbox/worker").glob("*.py")), ids=lambda path: path.stem)
def test_the_worker_needs_the_standard_library_alone(path):
    """It uses cloudpickle where the image has it (tests/sandbox/test_contract.py runs with and without)."""
    outside = {module.partition(".")[0] for module in imports(path)} - sys.stdlib_module_names
    assert outside <= {"codeact_bot", "cloudpickle"}, f"the worker imports {outside}"
    assert all(module.startswith("codeact_bot.sandbox.worker.") for module in ours(path))


@pytest.mark.parametrize("module", ["codeact_bot", "codeact_bot.cli"])
def test_nothing_heavy_is_loaded_at_start(module):
    script = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip() == ""


@pytest.mark.parametrize("module", ["codeact_bot.model.openai", "codeact_bot.app"])
def test_back_ends_are_loaded_when_used(module):
    script = f"import sys, {module}; print(*(m for m in ('docker', 'openai', 'motor', 'rich') if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip() == ""


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path) != "codeact_bot.ports"], ids=name_of)
def test_modules_stay_small(path):
    assert len(path.read_text().splitlines()) <= 320
