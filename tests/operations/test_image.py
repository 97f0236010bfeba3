"""The bot's image: built from the Dockerfile, run by Docker against a real MongoDB, and asked by Docker whether it is healthy.

There may be no python:3.12-slim to be had, so the base is the sandbox's own, with the pip of this environment.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pip
import pytest

ROOT = Path(__file__).parent.parent.parent
BASE, BOT = "codeact-bot-test-base", "codeact-bot-test"
HEALTHY = 120
"""Seconds in which it has to become healthy on a busy machine."""
SETUP = """
FROM {image}
COPY pip /usr/local/lib/python3.11/dist-packages/pip
COPY authorities.pem /authorities.pem
ENV {environment}
RUN ln -s /usr/bin/python3 /usr/local/bin/python
RUN printf '#!/bin/sh\\nexec python3 -m pip "$@"\\n' > /usr/local/bin/pip && chmod +x /usr/local/bin/pip && rm -f /usr/lib/python3.*/EXTERNALLY-MANAGED
"""

pytestmark = [pytest.mark.needs("docker", "image", "mongo"), pytest.mark.timeout(900)]


def docker(*words: str, **chosen: object) -> str:
    """Run `docker`; returns what it prints."""
    ended = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **chosen)  # type: ignore[call-overload]
    assert ended.returncode == 0, ended.stdout[-3000:]
    return str(ended.stdout)


def index() -> dict[str, str]:
    """Where pip gets its packages here, as variables."""
    told = {"PIP_CERT": "/authorities.pem", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_DEFAULT_TIMEOUT": "180"}
    for name in ("index-url", "trusted-host"):
        variable = f"PIP_{name.upper().replace('-', '_')}"
        asked = subprocess.run([sys.executable, "-m", "pip", "config", "get", f"global.{name}"], capture_output=True, text=True, check=False)
        if value := os.environ.get(variable) or asked.stdout.strip():
            told[variable] = value
    return told


@pytest.fixture
def image(tmp_path: Path, docker_image: str) -> Iterator[str]:
    """The target `bot` of the Dockerfile."""
    context = tmp_path / "base"
    shutil.copytree(Path(pip.__file__).parent, context / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt", context / "authorities.pem")
    environment = " ".join(f'{name}="{value}"' for name, value in index().items())
    (context / "Dockerfile").write_text(SETUP.format(image=docker_image, environment=environment))
    docker("build", "--quiet", "--tag", BASE, str(context))
    try:
        given = ("--build-arg", f"BASE_IMAGE={docker_image}", "--build-arg", f"BOT_IMAGE={BASE}")
        docker("build", "--network", "host", "--target", "bot", "--tag", BOT, *given, ".", cwd=ROOT)
        yield BOT
    finally:
        for tag in (BOT, BASE):
            subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)


def test_docker_reports_the_bot_healthy_while_it_serves(image: str, mongo_url: str) -> None:
    """The image fixes where health is served, and this engine has no network but the machine's: whoever has that port is waited for."""
    end = time.monotonic() + HEALTHY
    while taken(9321):
        assert time.monotonic() < end, "another program listens at port 9321"
        time.sleep(1)
    name = f"codeact-bot-test-{os.getpid()}"
    chosen = {
        "CODEACT_MONGO_URL": mongo_url,
        "CODEACT_DATABASE": name,
        "CODEACT_WEB": "127.0.0.1:0",
        "CODEACT_SANDBOX": "process",
        "CODEACT_PROCESS_FOR_OTHERS": "true",
    }
    given = [word for variable, value in chosen.items() for word in ("--env", f"{variable}={value}")]
    docker("run", "--detach", "--name", name, "--network", "host", "--health-interval", "1s", *given, image)
    try:
        while (state := docker("inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", name).strip()) != "running healthy":
            assert state == "running starting", docker("logs", name)
            assert time.monotonic() < end, docker("logs", name)
            time.sleep(0.5)
        while httpx.get("http://127.0.0.1:9321/readyz", trust_env=False, timeout=60).status_code != 200:
            assert time.monotonic() < end, docker("logs", name)
            time.sleep(0.5)
        assert "Web chat at" in docker("logs", name)
        docker("stop", "--timeout", "60", name)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def taken(port: int) -> bool:
    """Whether somebody listens at a port of this machine."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
