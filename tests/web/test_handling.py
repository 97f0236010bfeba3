"""What one handles a conversation with: copying, permalinks of steps, the keyboard, pasted pictures, filters of the list."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from codeact_bot.types import Incoming, Step, ThreadId
from tests.store import make
from tests.web.conftest import ADA, World, answers, ask, opened
from tests.web.test_conversation import BROKEN, CSV, FIXED

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture of one point."""
PICTURE = """with open("pasted.png", "rb") as file:
    print(file.read(4))
"""


async def test_code_and_answers_are_copied_as_they_are_written(world: World, browser: Browser) -> None:
    async with world.site([BROKEN, FIXED, "The total is **60**."]), opened(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        await page.goto(world.links[0])
        await page.set_input_files("#files", files=[{"name": "sales.csv", "mimeType": "text/csv", "buffer": CSV}])
        await ask(page, "What is the total?")
        await answers(page, 1)
        await page.locator(".step").nth(0).get_by_role("button", name="Copy code").click()
        await expect(page.locator("#said")).to_have_text("Copied.")
        assert (await page.evaluate("navigator.clipboard.readText()")).strip() == BROKEN.partition("```python\n")[2].partition("\n```")[0].strip()
        await page.get_by_role("button", name="Copy answer").click()
        await expect(page.get_by_role("button", name="Copy answer")).to_have_class(re.compile("done"))
        assert await page.evaluate("navigator.clipboard.readText()") == "The total is 60."


async def test_a_step_has_an_address_that_opens_it(world: World, page: Page) -> None:
    async with world.site([BROKEN, FIXED, "There."]):
        await page.goto(world.links[0])
        await page.set_input_files("#files", files=[{"name": "sales.csv", "mimeType": "text/csv", "buffer": CSV}])
        await ask(page, "What is the total?")
        await answers(page, 1)
        folded = page.locator(".step").nth(1)
        assert await folded.locator("details.block").get_attribute("open") is None
        assert await page.locator(".code .k, .code .kn").count() > 0, "code is coloured"
        assert await page.locator(".thought").count() > 0
        await folded.locator("summary").click()
        address = await folded.get_by_role("link", name="Link to this step").get_attribute("href")
        other = await page.context.new_page()
        await other.goto(f"{world.base}{address}")
        step = other.locator(".step").nth(1)
        await expect(step.locator("details.block")).to_have_attribute("open", "")
        await expect(step).to_be_in_viewport()


async def test_the_shortcuts_do_what_their_list_says(world: World, page: Page) -> None:
    turns = [await make.answered(world.store, Incoming(id=str(number), thread=ThreadId("web:keys"), author=ADA, text=f"Question {number}"), *steps()) for number in range(4)]
    async with world.site([]):
        await page.goto(world.links[0])
        await page.goto(f"{world.base}/t/web%3Akeys")
        await expect(page.locator(".turn")).to_have_count(4)
        await page.evaluate("window.scrollTo(0, 0)")
        for key, expected in (("j", 1), ("j", 2), ("k", 1)):
            await page.keyboard.press(key)
            await expect(page.locator(f"#turn-{turns[expected].id}")).to_be_focused()
        await page.keyboard.press("c")
        await expect(page.locator("#turns details.block[open]")).to_have_count(4)
        await page.keyboard.press("c")
        await expect(page.locator("#turns details.block[open]")).to_have_count(0)
        await page.keyboard.press("/")
        await expect(page.locator("#text")).to_be_focused()
        await page.keyboard.type("jck?")
        await expect(page.locator("#keys")).to_be_hidden()
        assert await page.locator("#turns details.block[open]").count() == 0, "what is typed is text"
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("n")
        await page.wait_for_url(f"{world.base}/#ask")


def steps() -> list[Step]:
    return [make.step(code="print(4)\n" * 40, execution=make.ran("4\n" * 30))]


async def test_a_pasted_picture_is_attached_and_can_be_left_out(world: World, page: Page) -> None:
    async with world.site([f"```python\n{PICTURE}```\n", "Seen."]):
        await page.goto(world.links[0])
        for name in ("pasted.png", "other.png"):
            await page.evaluate(
                """([bytes, name]) => {
                    const given = new DataTransfer(), data = Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
                    given.items.add(new File([data], name, { type: "image/png" }));
                    document.getElementById("question").dispatchEvent(new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true }));
                }""",
                [DOT, name],
            )
        await expect(page.locator("#chosen li span")).to_have_text(["pasted.png", "other.png"])
        await page.get_by_role("button", name="Leave out other.png").click()
        await expect(page.locator("#chosen li span")).to_have_text(["pasted.png"])
        await ask(page, "What is it?")
        await answers(page, 1)
        await expect(page.locator(".output")).to_contain_text("PNG")
        await expect(page.locator(".question + .files .name")).to_have_text("pasted.png")


async def test_the_list_is_narrowed_by_platform_and_state(world: World, page: Page) -> None:
    for number, thread in enumerate(("slack:T1:C1:1", "discord:7:1", "web:one")):
        await make.answered(world.store, Incoming(id=str(number), thread=ThreadId(thread), author=ADA, text=f"Question in {thread}"))
    async with world.site([]):
        await page.goto(world.links[0])
        rows = page.locator("#conversations a.row")
        await expect(rows).to_have_count(3)
        await page.select_option("#platform", "slack")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("Question in slack")
        await page.select_option("#state", "failed")
        await expect(page.locator("#conversations")).to_contain_text("Nothing was found.")
        await page.select_option("#platform", "")
        await page.select_option("#state", "answered")
        await expect(rows).to_have_count(3)


async def test_a_table_in_an_answer_has_its_numbers_at_the_right(world: World, page: Page) -> None:
    async with world.site(["| region | total | share |\n|:--|--:|:-:|\n| north | 36.50 | 61% |\n"]):
        await page.goto(world.links[0])
        await ask(page, "By region?")
        await answers(page, 1)
        sides = await page.locator(".answer td").evaluate_all("cells => cells.map(cell => getComputedStyle(cell).textAlign)")
        assert sides == ["left", "right", "center"]
