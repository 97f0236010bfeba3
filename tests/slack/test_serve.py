"""`codeact-bot serve` as its admin starts it: from an event in Slack to the posted answer, on the real sandbox and database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import guards, openai_server
from tests.slack import emulator, proxy
from tests.slack.conftest import until
from tests.slack.emulator import BOT, Emulator, labels, shown

pytestmark = [pytest.mark.needs("slack", "mongo"), pytest.mark.timeout(300)]

BROKEN = "Let me compute it.\n\n```python\nprint(power)\n```\n"
FIXED = "I forgot to define it.\n\n```python\npower = 2**100\nprint(power)\n```\n"
BINARY = Path(sys.executable).parent / "codeact-bot"


@asynccontextmanager
async def serving(home: Path, **variables: str) -> AsyncIterator[Process]:
    """Start `codeact-bot serve`; at the end it is told to stop, if it has not."""
    known = {name: os.environ[name] for name in os.environ if name in ("PATH", "LANG", "DOCKER_HOST")}
    process = await asyncio.create_subprocess_exec(
        BINARY, "serve", stdin=asyncio.subprocess.DEVNULL, stderr=PIPE, cwd=home, env={**known, "HOME": str(home), "CODEACT_WEB": "off", **variables}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


def tokens(address: str) -> dict[str, str]:
    return {"SLACK_BOT_TOKEN": "xoxb-test", "SLACK_APP_TOKEN": "xapp-test", "CODEACT_SLACK_BASE_URL": f"{address}/api/"}


async def answer_in(slack: Emulator, words: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = [each for each in await slack.posts() if words in shown(each) and "Retry" in labels(each)]
        return bool(found)

    await until(there, 60)
    return found[-1]


SANDBOXES = [pytest.param("docker", marks=pytest.mark.needs("docker", "image")), "process"]


@pytest.mark.parametrize("sandbox", SANDBOXES)
async def test_from_a_mention_to_the_answer_with_an_error_and_its_correction(tmp_path: Path, sandbox: str, request: pytest.FixtureRequest) -> None:
    before = guards.containers()
    chosen = {"CODEACT_SANDBOX": sandbox, "CODEACT_PROCESS_FOR_OTHERS": "true"}
    if sandbox == "docker":
        chosen["CODEACT_IMAGE"] = request.getfixturevalue("docker_image")
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between:
        with openai_server.running(first=BROKEN, code=FIXED) as model:
            async with serving(tmp_path, OPENAI_BASE_URL=model, **chosen, **tokens(between.address)) as process:
                await until(lambda: bool(between.sockets), 60)
                ts = await slack.send(f"<@{BOT}> What is 2 to the power of 100?")
                post = await answer_in(slack, openai_server.RESULT)
                assert post["thread_ts"] == ts
                assert "✗ step 1 · NameError" in shown(post)
                assert "✓ step 2" in shown(post)
                await slack.press(post, "Show code")
                await until(lambda: between.calls["views.open"] == 1)
                await slack.send("And again?", thread=ts)
                await until(lambda: between.calls["chat.postMessage"] == 2, 60)
                process.send_signal(signal.SIGTERM)
                _, said = await process.communicate()
    assert process.returncode == 0, said
    name = "docker" if sandbox == "docker" else "process"
    assert [line.partition(f" · sandbox {name}")[0] for line in said.decode().splitlines() if line.startswith("Serving")] == [
        f"Serving Slack · model the first of {model}"
    ]
    assert "Traceback" not in said.decode()
    assert [line for line in said.decode().splitlines() if line.split()[1:2] == ["error"]] == []
    assert guards.containers() == before


async def test_wrong_tokens_end_it_with_a_remedy(tmp_path: Path) -> None:
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between:
        between.faults["auth.test"] = [proxy.Fault(error="invalid_auth")]
        chosen = {"CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true"}
        async with serving(tmp_path, **chosen, **tokens(between.address)) as process:
            _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().splitlines()[-1] == (
        "codeact-bot: Slack does not accept SLACK_BOT_TOKEN (invalid_auth). Copy the token again from https://api.slack.com/apps; see docs/slack.md."
    )


async def test_it_waits_for_a_slack_that_is_away(tmp_path: Path) -> None:
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between:
        between.faults["auth.test"] = [proxy.BROKEN]
        between.faults["apps.connections.open"] = [proxy.BROKEN]
        chosen = {"CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true"}
        async with serving(tmp_path, **chosen, **tokens(between.address)):
            await until(lambda: bool(between.sockets), 60)
            await slack.send(f"<@{BOT}> hello")
            await answer_in(slack, "")


async def test_requests_over_http_are_taken_when_they_are_signed(tmp_path: Path) -> None:
    port = emulator.free_port()
    address = f"127.0.0.1:{port}"
    async with emulator.running(tmp_path, mode="events", request_url=f"http://{address}/slack/events") as slack:
        chosen = {"CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true", "CODEACT_SLACK_HTTP": address}
        given = {"SLACK_BOT_TOKEN": "xoxb-test", "SLACK_SIGNING_SECRET": "signing", "CODEACT_SLACK_BASE_URL": f"{slack.address}/api/"}
        async with serving(tmp_path, **chosen, **given):

            async def listens() -> bool:
                try:
                    async with slack._session.post(f"http://{address}/slack/events", json={"type": "event_callback"}) as answer:
                        return answer.status == 401
                except OSError:
                    return False

            await until(listens, 60)
            await slack.send(f"<@{BOT}> hello")
            await answer_in(slack, "")
