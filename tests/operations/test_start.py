"""A worker that is still being opened: it lives, and says what it waits for. A liveness probe must not kill it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from codeact_bot.serve import _progress
from codeact_bot.types import Preparing
from codeact_bot.watch import Porter
from tests import replica_set
from tests.web.test_serve import environment

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(180)]


@asynccontextmanager
async def silent(path: Path) -> AsyncIterator[None]:
    """A Docker engine that takes every request and answers none."""
    closing: set[asyncio.StreamWriter] = set()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closing.add(writer)
        await reader.read()

    server = await asyncio.start_unix_server(hear, path)
    try:
        yield
    finally:
        server.close()
        for writer in closing:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_it_lives_from_the_start_and_is_ready_only_when_all_is_open(tmp_path: Path, mongo_url: str) -> None:
    at = f"127.0.0.1:{replica_set.free_port()}"
    chosen = {
        **environment(tmp_path),
        "CODEACT_WEB": "127.0.0.1:0",
        "CODEACT_OPERATIONS": at,
        "CODEACT_SANDBOX": "docker",
        "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
        "CODEACT_MONGO_URL": mongo_url,
        "CODEACT_DATABASE": "test-start",
    }
    async with silent(tmp_path / "docker.sock"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "codeact_bot.cli", "serve", env=chosen, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        try:
            assert process.stderr is not None
            assert f"Health and metrics at http://{at}" in (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
            async with httpx.AsyncClient(base_url=f"http://{at}", trust_env=False, timeout=60) as client:
                assert (await client.get("/healthz")).text == "alive\n"
                unready = await client.get("/readyz")
                assert unready.status_code == 503
                (line,) = unready.json()["checks"]
                assert (line["name"], line["ok"], line["remedy"]) == ("worker", False, "Wait until it listens.")
                assert line["text"].startswith("starting")
                assert ((await client.get("/metrics")).status_code, (await client.get("/metrics")).text) == (200, "")
            process.send_signal(signal.SIGTERM)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_what_is_done_first_is_told() -> None:
    porter = Porter()
    _progress(porter, Preparing(label="Building the sandbox image", fraction=0.4))
    (check,) = await porter.ready()
    assert (check.ok, check.text) == (False, "starting: Building the sandbox image")
    with porter.asking(None):
        pass
    (check,) = await porter.ready()
    assert (check.ok, check.text) == (False, "stopping")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without a name")
def test_somebody_without_a_name_has_a_number() -> None:
    """As in an image: nothing in /etc/passwd knows the user."""
    script = "import os; from codeact_bot.user import user; os.setuid(54321); print(user())"
    said = subprocess.run([sys.executable, "-c", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    assert said.stdout == "user-54321\n"
