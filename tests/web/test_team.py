"""`codeact-bot serve` for a team, as a process: a real issuer signs people in over HTTP, and each sees what they may."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.web.provider import ADA, CLIENT, SECRET, Provider, provided
from tests.web.staff import csrf
from tests.web.test_serve import environment

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(300)]

PEOPLE = {"ada": "4711", "bob": "1", "aud": "2", "root": "3", "eve": "4"}
LISTS = {
    "CODEACT_PEOPLE__ALLOW": json.dumps(["ada@example.org", "bob@example.org"]),
    "CODEACT_PEOPLE__AUDITORS": json.dumps(["aud@example.org"]),
    "CODEACT_PEOPLE__ADMINS": json.dumps(["sub:3"]),
}


@asynccontextmanager
async def serving(home: Path, provider: Provider, mongo_url: str, at: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """The process; yields the address of its web chat. At the end it leaves in good order."""
    chosen = {
        **environment(home),
        **LISTS,
        "CODEACT_WEB": at,
        "CODEACT_OIDC_ISSUER": provider.address,
        "CODEACT_OIDC_CLIENT_ID": CLIENT,
        "CODEACT_OIDC_CLIENT_SECRET": SECRET,
        "CODEACT_MONGO_URL": mongo_url,
        "CODEACT_DATABASE": f"team-{home.name}",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "codeact_bot.cli", "serve", env=chosen, cwd=home, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said = ""
    try:
        while not (found := re.search(r"Web chat at (\S+)", said)):
            said += (line := (await process.stderr.readline()).decode())
            assert line, said
        yield found[1]
        process.send_signal(signal.SIGTERM)
        _, rest = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, said + rest.decode()
        assert SECRET not in said + rest.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def browser(base: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base, follow_redirects=True, timeout=60, headers={"accept": "text/html"}, trust_env=False) as client:
        yield client


async def come_in(client: httpx.AsyncClient, provider: Provider, name: str) -> httpx.Response:
    """Ask for the first page, and be sent to the issuer and back, as somebody."""
    provider.person = {**ADA, "sub": PEOPLE[name], "name": name.title(), "email": f"{name}@example.org"}
    page = await client.get("/")
    client.headers["x-csrf-token"] = csrf(page.text)
    return page


async def ask(client: httpx.AsyncClient, question: str) -> str:
    """Ask, wait for the answer, and return the conversation's address."""
    where = str((await client.post("/new", data={"text": question})).json()["location"])
    async with asyncio.timeout(90):
        while '<div class="answer' not in (await client.get(where)).text:
            await asyncio.sleep(0.2)
    return where


async def test_a_team_signs_in_and_each_sees_what_they_may(tmp_path: Path, mongo_url: str) -> None:
    async with (
        provided() as provider,
        serving(tmp_path, provider, mongo_url) as base,
        browser(base) as ada,
        browser(base) as bob,
        browser(base) as aud,
        browser(base) as root,
        browser(base) as eve,
    ):
        people = {"ada": ada, "bob": bob, "aud": aud, "root": root}
        for name, client in people.items():
            assert (await come_in(client, provider, name)).status_code == 200
        refused = await come_in(eve, provider, "eve")
        assert (refused.status_code, "CODEACT_PEOPLE__ALLOW" in refused.text) == (403, True)
        assert provider.asked[0]["redirect_uri"] == f"{base}/sign-in/done"

        where = await ask(ada, "sum(range(101))")
        reads = {name: (await client.get(where)).status_code for name, client in people.items()}
        assert reads == {"ada": 200, "bob": 404, "aud": 200, "root": 200}
        assert "5050" in (await root.get(where)).text
        asks = {name: (await client.post(f"{where}/ask", data={"text": "1 + 1"})).status_code for name, client in people.items()}
        assert asks == {"ada": 204, "bob": 404, "aud": 403, "root": 204}
        audits = {name: (await client.get("/audit/chain?kind=viewed")).status_code for name, client in people.items()}
        assert audits == {"ada": 403, "bob": 403, "aud": 200, "root": 200}
        roles = {name: (await client.get("/api/me")).json()["role"] for name, client in people.items()}
        assert roles == {"ada": "member", "bob": "member", "aud": "auditor", "root": "admin"}
        viewed = (await root.get("/audit/chain?kind=viewed")).text
        assert "Aud" in viewed
        assert "Root" in viewed
        assert "Eve" in (await root.get("/audit/chain?kind=refused")).text
        assert "signed in" in (await root.get("/audit/chain?kind=session")).text


async def test_a_session_outlives_the_process_and_ends_with_signing_out_at_whichever(tmp_path: Path, mongo_url: str) -> None:
    async with provided() as provider:
        async with serving(tmp_path, provider, mongo_url) as base, browser(base) as ada:
            await come_in(ada, provider, "ada")
            cookies = dict(ada.cookies)
        async with serving(tmp_path, provider, mongo_url, base.removeprefix("http://")) as again, browser(again) as ada, browser(again) as thief:
            asked = len(provider.asked)
            for client in (ada, thief):
                client.cookies.update(cookies)
                assert (await client.get("/")).status_code == 200
            assert len(provider.asked) == asked, "nobody had to sign in"
            page = await ada.get("/")
            assert (await ada.post("/sign-out", headers={"x-csrf-token": csrf(page.text)})).status_code == 200
            assert (await thief.get("/api/me", headers={"accept": "*/*"})).status_code == 401
            assert (await thief.get("/", follow_redirects=False)).headers["location"] == "/sign-in"
