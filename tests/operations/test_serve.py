"""`codeact-bot serve` as those who run it see it: in Slack, without the web chat, with health and measures at an address of their own."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import httpx
import pytest

from tests import openai_server, replica_set
from tests.slack import emulator, proxy
from tests.slack.conftest import until
from tests.slack.emulator import BOT
from tests.slack.test_serve import BROKEN, FIXED, answer_in, serving, tokens

pytestmark = [pytest.mark.needs("slack", "mongo"), pytest.mark.timeout(300)]


async def test_without_the_web_chat_it_tells_of_its_health_and_logs_json(tmp_path: Path, mongo_url: str) -> None:
    at = f"127.0.0.1:{replica_set.free_port()}"
    chosen = {
        "CODEACT_SANDBOX": "process",
        "CODEACT_PROCESS_FOR_OTHERS": "true",
        "CODEACT_WEB": "off",
        "CODEACT_OPERATIONS": at,
        "CODEACT_LOG_FORMAT": "json",
        "CODEACT_MONGO_URL": mongo_url,
        "CODEACT_DATABASE": tmp_path.name,
    }
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between:
        with openai_server.running(first=BROKEN, code=FIXED) as model:
            async with (
                serving(tmp_path, OPENAI_BASE_URL=model, **chosen, **tokens(between.address)) as process,
                httpx.AsyncClient(base_url=f"http://{at}", trust_env=False, timeout=60) as client,
            ):

                async def ready() -> bool:
                    try:
                        return (await client.get("/readyz")).status_code == 200
                    except httpx.TransportError:
                        return False

                await until(ready, 120)
                checks = {line["name"]: line["text"] for line in (await client.get("/readyz")).json()["checks"]}
                assert checks["Slack"] == "connected"
                await slack.send(f"<@{BOT}> What is 2 to the power of 100?")
                await answer_in(slack, openai_server.RESULT)

                async def counted() -> bool:
                    return 'codeact_turns_total{ending="answered"} 1.0' in (await client.get("/metrics")).text

                await until(counted, 60)
                process.send_signal(signal.SIGTERM)
                _, said = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said
    records = [json.loads(line) for line in said.decode().splitlines()]
    assert f"Health and metrics at http://{at}" in [record["message"] for record in records]
    assert [record["message"].partition(",")[0] for record in records if record.get("action") == "turn"] == ["A turn ended: answered"]
