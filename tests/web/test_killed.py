"""A page whose own server, `codeact-bot serve` as a process, is killed with kill -9 and started again at the same address."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests import openai_server
from tests.slack.test_serve import serving
from tests.web.conftest import answers, ask
from tests.web.test_conversation import SLOW

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]
KNOWN = f"Is {openai_server.RESULT} right?"
"""A question that the model answers at once."""
LISTEN = """() => {
    const said = document.getElementById("said");
    window.heard = [];
    new MutationObserver(() => window.heard.push(said.textContent)).observe(said, { childList: true });
}"""
"""Keeps what a screen reader is told from now on."""


@asynccontextmanager
async def site(home: Path, mongo_url: str, at: str = "127.0.0.1:0", **variables: str) -> AsyncIterator[str]:
    """The web chat in a process of its own, which is killed at the end; yields the link that lets its owner in."""
    given = {"CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": f"killed-{home.name}", "CODEACT_WEB": at, **variables}
    async with serving(home, CODEACT_SANDBOX="process", CODEACT_PROCESS_FOR_OTHERS="true", CODEACT_LOG_LEVEL="error", **given) as process:
        assert process.stderr is not None
        said = ""
        try:
            while not (found := re.search(r"Web chat at (\S+)", said)):
                said += (line := (await process.stderr.readline()).decode())
                assert line, said
            yield found[1]
        finally:
            process.kill()
            await process.communicate()


def address(page: Page) -> str:
    """Host and port of the server that a page came from."""
    return page.url.split("/")[2]


async def test_a_page_whose_server_was_killed_misses_nothing_and_shows_nothing_twice(tmp_path: Path, mongo_url: str, page: Page) -> None:
    away = page.locator("#away")
    with openai_server.running(first=f"I count slowly.\n\n{SLOW}", failure="The step was interrupted", pause=0.05) as model:
        async with site(tmp_path, mongo_url, OPENAI_BASE_URL=model) as link:
            await page.goto(link)
            await ask(page, KNOWN)
            await answers(page, 1)
            await page.evaluate(LISTEN)
            await ask(page, "Count.")
            await expect(page.locator(".turn.live .output")).to_contain_text("tick 3", timeout=60_000)
            await ask(page, f"{KNOWN} Really?")
            await expect(page.locator("#waiting .queued")).to_have_count(1)
            await expect(away).to_be_hidden()
        await expect(away).to_have_text("Reconnecting …")
        await expect(away).to_have_attribute("role", "status")
        await ask(page, f"{KNOWN} And this?")
        await expect(page.locator("#trouble")).to_contain_text("Nothing you wrote is lost")
        await expect(page.locator("#question")).to_have_value(f"{KNOWN} And this?")
        async with site(tmp_path, mongo_url, address(page), OPENAI_BASE_URL=model):
            await expect(away).to_be_hidden(timeout=60_000)
            await page.press("#question", "Enter")
            await answers(page, 4)
            await expect(page.locator("#waiting .queued")).to_have_count(0)
            await expect(page.locator(".now")).to_have_count(0)
            await expect(page.locator(".asked")).to_have_text([KNOWN, "Count.", f"{KNOWN} Really?", f"{KNOWN} And this?"])
            await expect(page.locator(".answer")).to_have_text([openai_server.ANSWER] * 4)
            counted = page.locator(".turn").nth(1).locator(".step")
            await expect(counted).to_have_count(2)
            await expect(counted.nth(0)).to_contain_text("it may have had effects")
            await expect(page.locator("#stop")).to_be_hidden()
            await expect(page.locator("#trouble")).to_be_empty()
            heard = await page.evaluate("window.heard")  # none, had the page been loaded anew
            assert len([each for each in heard if each.startswith("Answer: ")]) == 3
            seen = await page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
            assert len(seen) == len(set(seen))
            live = await page.locator("#turns").inner_text()
            await page.reload()
            await answers(page, 4)
            assert await page.locator("#turns").inner_text() == live


async def test_a_page_that_the_new_server_does_not_know_says_how_to_come_in(tmp_path: Path, mongo_url: str, page: Page) -> None:
    with openai_server.running() as model:
        async with site(tmp_path, mongo_url, OPENAI_BASE_URL=model) as link:
            await page.goto(link)
            await ask(page, KNOWN)
            await answers(page, 1)
        await expect(page.locator("#away")).to_have_text("Reconnecting …")
        async with site(tmp_path, mongo_url, address(page), OPENAI_BASE_URL=model, CODEACT_WEB_SECRET="another " * 5):
            await expect(page.locator("h1")).to_have_text("You are not signed in.", timeout=30_000)
            await expect(page.locator("main")).to_contain_text("Open the link that the terminal shows")
