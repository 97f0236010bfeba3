"""Whole conversations in Chromium: errors, plots, uploads, stop, reconnect, forks, links that share; from here and from other workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, Dialog, Page, expect

from tests.web.conftest import World, answers, ask, opened, until

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]

CSV = b"region,price\nnorth,10\nsouth,20\nwest,30\n"
BROKEN = """I add the prices up.

```python
import csv
rows = list(csv.DictReader(open("sales.csv")))
total = sum(float(row["prcie"]) for row in rows)
```
"""
FIXED = """The column is called *price*.

```python
total = sum(float(row["price"]) for row in rows)
open("total.txt", "w").write(str(total))
print("total:", total)
```
"""
PLOT = """```python
import pandas as pd
import matplotlib.pyplot as plt
table = pd.DataFrame({"number": range(45), "name": [f"n{n}" for n in range(45)]})
table["number"].plot()
plt.show()
table
```
"""
SLOW = """```python
import time
for n in range(600):
    print("tick", n, flush=True)
    time.sleep(0.1)
```
"""


@pytest.mark.parametrize("world", ["docker"], indirect=True)
async def test_a_whole_conversation(world: World, page: Page, browser: Browser, tmp_path: Path) -> None:
    replies = [BROKEN, FIXED, "The total is **60.0**.", PLOT, "There.", SLOW, "After all."]
    async with world.site(replies, delay=0.01):
        await page.goto(world.links[0])
        assert "token" not in page.url
        await page.set_input_files("#files", files=[{"name": "sales.csv", "mimeType": "text/csv", "buffer": CSV}])
        await ask(page, "What is the total?")
        await page.wait_for_url("**/t/**")
        await answers(page, 1)
        failed, mended = page.locator(".step").nth(0), page.locator(".step").nth(1)
        await expect(failed.locator(".error strong")).to_have_text("KeyError")
        assert await failed.locator("details.block").get_attribute("open") is not None
        await expect(failed.locator(".row.bad")).to_contain_text("prcie")
        assert await mended.locator("details.block").get_attribute("open") is None
        await expect(mended.locator(".output")).to_contain_text("total: 60.0")
        await expect(page.locator(".answer strong")).to_have_text("60.0")
        async with page.expect_download() as downloading:
            await mended.locator(".file", has_text="total.txt").click()
        assert await asyncio.to_thread((Path(await (await downloading.value).path())).read_text) == "60.0"

        await ask(page, "Draw a line, and show the table.")
        await answers(page, 2)
        plot = page.locator(".plot img")
        await expect(plot).to_be_visible()
        assert await plot.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        table = page.locator("[data-table] table")
        await expect(table.locator("tbody tr")).to_have_count(20)
        await table.locator("th button", has_text="number").click()
        await table.locator("th button", has_text="number").click()
        await expect(table.locator("tbody tr").first).to_contain_text("44")
        await page.get_by_role("button", name="Next rows").click()
        await expect(table.locator("tbody tr").first).to_contain_text("24")

        await ask(page, "Count slowly.")
        await expect(page.locator(".turn.live .output")).to_contain_text("tick 3")
        await page.get_by_role("button", name="Stop").click()
        await answers(page, 3)
        await expect(page.locator(".answer.stopped .ending")).to_have_text("Stopped")
        await expect(page.locator("#stop")).to_be_hidden()

        await page.locator(".turn").nth(0).get_by_role("button", name="Fork from here").click()
        await expect(page.locator(".turn")).to_have_count(1)
        await ask(page, "And now?")
        await answers(page, 2)
        await expect(page.locator(".answer").nth(1)).to_contain_text("After all.")
        async with page.expect_download() as downloading:
            await page.get_by_text("Export").click()
            await page.get_by_role("link", name="Notebook").click()
        notebook = json.loads(await asyncio.to_thread(Path(await (await downloading.value).path()).read_text))
        assert notebook["nbformat"] == 4

        await page.get_by_text("Share").click()
        await page.get_by_role("button", name="Make a link").click()
        link = await page.locator("#link").input_value()
        async with opened(browser) as stranger:
            await stranger.goto(link)
            await expect(stranger.locator(".answer")).to_have_count(2)
            assert await stranger.locator("#question, #stop, [data-post]").count() == 0
            await page.get_by_role("button", name="Make void").click()
            await expect(page.locator("#shares li")).to_have_count(0)
            await stranger.goto(link)
            await expect(stranger.locator("h1")).to_contain_text("This link is not good any more")

        await page.goto(f"{world.base}/audit?q=prcie")
        await expect(page.locator(".runs tbody tr")).to_have_count(1)
        await page.locator(".runs tbody tr a").first.click()
        await expect(page.locator(".row.bad", has_text="prcie")).to_be_visible()


async def test_a_page_that_lost_the_server_catches_up_and_shows_nothing_twice(world: World, page: Page) -> None:
    async with world.site(["One.", SLOW], delay=0.01):
        await page.goto(world.links[0])
        await ask(page, "First")
        await answers(page, 1)
        await ask(page, "Second")
        await expect(page.locator(".turn.live .output")).to_contain_text("tick 2")
    await expect(page.locator("#away")).to_have_text("Reconnecting …")
    before = len(world.links)
    async with world.site(["Two.", "Three."], at=world.base.removeprefix("http://")):
        assert len(world.links) > before
        await answers(page, 2)
        await expect(page.locator(".turn")).to_have_count(2)
        await expect(page.locator(".answer").nth(1)).to_contain_text("Two.")
        await ask(page, "Third")
        await answers(page, 3)
        await expect(page.locator(".answer")).to_have_text(["One.", "Two.", "Three."])


async def test_what_another_worker_runs_is_followed_too_and_by_two_people_at_once(world: World, page: Page, browser: Browser) -> None:
    class Elsewhere:
        prefixes = ("web:",)

        async def listen(self, inbox: object) -> None:
            await asyncio.Event().wait()

        async def reply(self, turn: object) -> object:
            from codeact_bot.delivery import Unposted

            return Unposted()

    class Deaf:
        """The site alone: its worker serves nothing."""

        prefixes = ("nothing:",)

        def __init__(self) -> None:
            self.site = world.adapter()

        async def listen(self, inbox: object) -> None:
            await self.site.listen(inbox)  # type: ignore[arg-type]

        async def reply(self, turn: object) -> object:
            raise AssertionError("this worker serves nothing")

    async with world.worker([], Deaf()):
        await until(lambda: bool(world.links))
        await page.goto(world.links[0])
        await ask(page, "What is 6 times 7?")
        await page.wait_for_url("**/t/**")
        await expect(page.locator("#waiting .asked")).to_have_text("What is 6 times 7?")
        context = page.context
        second = await context.new_page()
        await second.goto(page.url)
        async with world.worker(["I compute.\n\n```python\nimport time; time.sleep(6); print(6 * 7)\n```\n", "It is 42."], Elsewhere()):
            for each in (page, second):
                await expect(each.locator(".turn.live .code")).to_contain_text("print(6 * 7)", timeout=30_000)
            for each in (page, second):
                await answers(each, 1)
                await expect(each.locator(".turn")).to_have_count(1)
                await expect(each.locator(".output")).to_have_text("42")
                await expect(each.locator(".answer")).to_contain_text("It is 42.")


async def test_a_question_that_waits_is_shown_and_can_be_taken_back(world: World, page: Page) -> None:
    async with world.site([SLOW, "Last."], delay=0.01):
        await page.goto(world.links[0])
        await ask(page, "First")
        await expect(page.locator(".turn.live .output")).to_contain_text("tick 1")
        await ask(page, "Never mind")
        await ask(page, "Third")
        await expect(page.locator("#waiting .queued")).to_have_count(2)
        await page.locator("#waiting .queued").first.get_by_role("button", name="Take it back").click()
        await expect(page.locator("#waiting .asked")).to_have_text(["Third"])
        await page.press("#question", "Escape")
        await answers(page, 2)
        await expect(page.locator(".asked")).to_have_text(["First", "Third"])


async def test_retry_and_edit(world: World, page: Page) -> None:
    async with world.site(["One.", "Two.", "Three."]):
        await page.goto(world.links[0])
        await ask(page, "Say a number")
        await answers(page, 1)
        first = page.url
        await page.get_by_role("button", name="Retry").click()
        await answers(page, 2)
        await expect(page.locator(".asked")).to_have_text(["Say a number", "Say a number"])
        await page.locator(".turn").nth(1).get_by_role("button", name="Edit and re-run").click()
        await page.get_by_label("The question, to be edited").fill("Say another")
        await page.get_by_role("button", name="Ask this instead").click()
        await page.wait_for_url(lambda url: url != first)
        await answers(page, 2)
        await expect(page.locator(".asked")).to_have_text(["Say a number", "Say another"])
        await expect(page.locator(".answer")).to_have_text(["One.", "Three."])


async def test_the_list_is_searched_as_one_types(world: World, page: Page) -> None:
    async with world.site(["A.", "B."]):
        await page.goto(world.links[0])
        await ask(page, "Sales per region")
        await answers(page, 1)
        await page.get_by_role("link", name="New conversation").click()
        await page.wait_for_url(f"{world.base}/#ask")
        await ask(page, "Plot the weather")
        await answers(page, 1)
        await expect(page.locator("#conversations a.row")).to_have_count(2)
        await page.press("body", "/")
        await page.keyboard.type("weath")
        await expect(page.locator("#conversations a.row")).to_have_count(1)
        await expect(page.locator("#conversations a.row")).to_contain_text("Plot the weather")
        await page.select_option("#state", "failed")
        await expect(page.locator("#conversations")).to_contain_text("Nothing was found.")


async def test_pasted_tables_and_dropped_files_are_attached(world: World, page: Page) -> None:
    async with world.site(['```python\nimport os\nprint(sorted(os.listdir(".")))\n```\n', "Done."]):
        await page.goto(world.links[0])
        await page.evaluate("""() => {
            const give = (kind, transfer, name) => document.getElementById("question").dispatchEvent(
                Object.assign(new Event(kind, { bubbles: true, cancelable: true }), { [name]: transfer }));
            const pasted = new DataTransfer();
            pasted.setData("text/plain", "a\\tb\\n1\\t2\\n3\\t4\\n");
            give("paste", pasted, "clipboardData");
            const dropped = new DataTransfer();
            dropped.items.add(new File(["x"], "dropped.txt"));
            give("drop", dropped, "dataTransfer");
        }""")
        await expect(page.locator("#chosen li span")).to_have_text(["pasted.tsv", "dropped.txt"])
        await ask(page, "What is there?")
        await answers(page, 1)
        await expect(page.locator(".output")).to_contain_text("'dropped.txt', 'pasted.tsv'")


async def test_a_lost_state_is_rebuilt_after_a_warning(world: World, page: Page) -> None:
    async with world.site(["```python\nkept = 41\n```\n", "Kept."]):
        await page.goto(world.links[0])
        await ask(page, "Keep it")
        await answers(page, 1)
    (thread,) = await world.store.threads(limit=1)
    await world.store._threads.update_one({"_id": thread.id}, {"$unset": {"snapshot": 1}})  # type: ignore[attr-defined]
    async with world.site(["```python\nprint(kept + 1)\n```\n", "It is gone.", "```python\nprint(kept + 1)\n```\n", "There it is."], at=world.base.removeprefix("http://")):
        await ask(page, "Use it")
        await answers(page, 2)
        await expect(page.locator(".answer").nth(1)).to_contain_text("runs 1 recorded step again")
        said: list[str] = []

        async def agree(dialog: Dialog) -> None:
            said.append(dialog.message)
            await dialog.accept()

        page.once("dialog", agree)
        await page.get_by_role("button", name="Rebuild state").click()
        await answers(page, 3)
        assert "This runs 1 recorded step again" in said[0]
        await ask(page, "And now?")
        await answers(page, 4)
        await expect(page.locator(".turn").nth(3).locator(".output")).to_have_text("42")
