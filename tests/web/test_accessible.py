"""The main pages have no serious fault that axe knows of, in light and in dark, wide and narrow; and the keyboard is enough."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Browser, Page, expect

from tests import parts
from tests.web.conftest import World, answers, ask, opened
from tests.web.test_conversation import BROKEN, CSV, FIXED, PLOT

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]
ANSWER = "The total is **60**, see [the docs](https://example.org/).\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n\n```python\nx = 1  # a note\n```\n"
TABLE = PLOT.replace("import matplotlib.pyplot as plt\n", "").replace('table["number"].plot()\nplt.show()\n', "")


async def faults(page: Page) -> list[str]:
    """What axe finds, of WCAG 2.2 AA and of its best practices, that is serious or critical."""
    await page.evaluate(parts.AXE.read_text())
    found = json.loads(await page.evaluate("""async () => JSON.stringify((await axe.run({
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })).violations)"""))
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary']}" for fault in found if fault["impact"] in ("serious", "critical") for node in fault["nodes"]
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_the_main_pages(world: World, browser: Browser, colours: str, width: int) -> None:
    async with world.site([BROKEN, FIXED, TABLE, ANSWER]), opened(browser, color_scheme=colours, viewport={"width": width, "height": 2400}) as page:
        await page.goto(world.links[0])
        assert await faults(page) == [], "home"
        await page.set_input_files("#files", files=[{"name": "sales.csv", "mimeType": "text/csv", "buffer": CSV}])
        await ask(page, "What is the total?")
        await answers(page, 1)
        await page.locator(".turn summary").nth(1).click()
        assert await faults(page) == [], "a conversation"
        await page.locator("#sharing summary").click()
        await page.get_by_role("button", name="Make a link").click()
        link = await page.locator("#link").input_value()
        assert await faults(page) == [], "sharing"
        await page.keyboard.press("Escape")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is wider than the screen"
        text = await page.get_by_role("link", name="read total.txt").get_attribute("href")
        for address in (link, f"{world.base}/nowhere", f"{world.base}{text}"):
            await page.goto(address)
            assert await faults(page) == [], address


async def test_a_conversation_by_keyboard_alone(world: World, page: Page) -> None:
    async with world.site(["One.", "Two."]):
        await page.goto(world.links[0])
        assert await page.evaluate("document.activeElement.id") == "question"
        await page.keyboard.type("First")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("line")
        await page.keyboard.press("Enter")
        await answers(page, 1)
        assert await page.locator(".asked").inner_text() == "First\nline"
        await page.keyboard.press("q")
        await page.keyboard.type("Second")
        await page.keyboard.press("Enter")
        await answers(page, 2)
        await expect(page.locator("#said")).to_contain_text("Answer: Two.")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("?")
        await expect(page.locator("#keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#keys")).to_be_hidden()
        await page.keyboard.press("d")
        theme = await page.evaluate("document.documentElement.dataset.theme")
        await page.reload()
        assert await page.evaluate("document.documentElement.dataset.theme") == theme
        await page.evaluate("window.scrollTo(0, 0)")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"


async def test_signing_out_ends_the_session(world: World, page: Page) -> None:
    async with world.site([]):
        await page.goto(world.links[0])
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.locator("h1")).to_contain_text("You are signed out")
        answer = await page.goto(world.base)
        assert answer is not None
        assert answer.status == 401
