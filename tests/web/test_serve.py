"""`codeact-bot serve` with the web chat alone, and the terminal chat with the web chat beside it, as processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.adapters.pseudo_terminal import running

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(180)]


def environment(home: Path) -> dict[str, str]:
    known = {name: os.environ[name] for name in os.environ if name in ("PATH", "LANG") or name.startswith("CODEACT_TEST")}
    return {**known, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true"}


async def asked_and_answered(client: httpx.AsyncClient, link: str, question: str) -> tuple[str, str]:
    """Ask a question in the browser; returns the conversation's address and its page with the answer."""
    page = (await client.get(link)).text
    base, token = link.partition("/?")[0], page.partition('name="csrf" content="')[2].partition('"')[0]
    where = base + (await client.post(f"{base}/new", data={"text": question}, headers={"x-csrf-token": token})).json()["location"]
    async with asyncio.timeout(60):
        while '<div class="answer' not in (page := (await client.get(where)).text):
            await asyncio.sleep(0.2)
    return where, page


def browser() -> httpx.AsyncClient:
    return httpx.AsyncClient(follow_redirects=True, timeout=60)


async def test_serve_needs_no_platform_and_ends_in_good_order(tmp_path: Path) -> None:
    chosen = environment(tmp_path) | {"CODEACT_WEB": "127.0.0.1:0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "codeact_bot.cli", "serve", env=chosen, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said = ""
    try:
        while not (found := re.search(r"Web chat at (\S+)", said)):
            said += (line := (await process.stderr.readline()).decode())
            assert line, said
        assert "Serving Web ·" in said
        async with browser() as client:
            where, page = await asked_and_answered(client, found[1], "sum(range(101))")
            assert "5050" in page
            async with client.stream("GET", f"{where}/events") as stream:
                pieces = stream.aiter_lines()
                assert await anext(pieces) == "retry: 1000"
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_the_terminal_chat_has_the_web_chat_beside_it(tmp_path: Path) -> None:
    with running("codeact_bot.cli", "chat", columns=140, **environment(tmp_path), CODEACT_WEB="127.0.0.1:0") as chat:
        chat.wait_for("too: http")
        chat.wait_for("›")
        link = re.search(r"too: (http://127\.0\.0\.1:\d+/\?token=[\w-]{32})", chat.text)
        assert link

        async def look(address: str) -> str:
            async with browser() as client:
                return (await asked_and_answered(client, address, "sum(range(101))"))[1]

        assert "5050" in asyncio.run(look(link[1]))
        chat.interrupt()
        chat.type("/exit\r")
        assert chat.wait_end() == 0
