"""The pages of the audit over a real mongod, in Chromium: found, opened, added up, verified, exported; hostile text does nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect
from pyarrow import parquet

from benchmarks.audit import fill
from codeact_bot.audit import turn_entries
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author, Deed, Incoming, ThreadId, Trail
from tests.store import make
from tests.web.conftest import World, answers, ask, opened
from tests.web.test_accessible import faults
from tests.web.test_conversation import BROKEN, FIXED
from tests.web.test_hostile import EVIL

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]
RUNS = 120
YEAR = "since=2025-01-01&until=2027-12-31"


@asynccontextmanager
async def filled(world: World) -> AsyncIterator[str]:
    """A site whose store has the runs of a made-up team; returns where the audit is, for somebody signed in by `links`."""
    assert isinstance(world.store, MongoStore)
    await fill(world.store, RUNS)
    async with world.site([BROKEN, FIXED, "Done."]):
        yield f"{world.base}/audit"


async def turn_page(page: Page, name: str) -> None:
    async with page.expect_navigation():
        await page.get_by_role("link", name=name).click()


async def test_runs_are_found_paged_opened_and_exported(world: World, page: Page) -> None:
    async with filled(world) as audit:
        await page.goto(world.links[0])
        await ask(page, "How many rows?")
        await answers(page, 1)
        await page.goto(audit)
        rows = page.locator(".runs tbody tr")
        await expect(rows).to_have_count(50)
        newest = await rows.nth(0).inner_text()
        seen = {await link.get_attribute("href") for link in await rows.locator("a").all()}
        for _ in range(2):
            await turn_page(page, "Older →")
            seen |= {await link.get_attribute("href") for link in await rows.locator("a").all()}
        assert len(seen) == RUNS + 1
        await expect(page.get_by_role("link", name="Older →")).to_have_count(0)
        await turn_page(page, "← Newer")
        await turn_page(page, "← Newer")
        assert await rows.nth(0).inner_text() == newest
        await page.get_by_label("Words in question").press_sequentially("how many rows")
        await expect(rows).to_have_count(1)
        await expect(page.get_by_role("link", name="CSV")).to_have_attribute("href", "/audit/export/csv?q=how+many+rows")
        await expect(rows).to_contain_text("Error")
        await rows.get_by_role("link").press("Enter")
        await expect(page.locator(".turn .asked")).to_have_text("How many rows?")
        await expect(page.locator(".turn .error").first).to_be_visible()


async def test_without_scripts_the_form_and_its_pages_work(world: World, browser: Browser) -> None:
    async with filled(world) as audit, opened(browser, java_script_enabled=False) as page:
        await page.goto(world.links[0])
        await page.goto(audit)
        await page.get_by_label("Platform").select_option("discord")
        await page.get_by_role("button", name="Apply").press("Enter")
        cells = await page.locator(".runs tbody tr td:nth-child(3)").all_inner_texts()
        assert cells
        assert all(cell.startswith("Discord ") for cell in cells)


async def test_totals_are_plots_and_a_table_and_the_chain_is_verified(world: World, page: Page) -> None:
    async with filled(world) as audit:
        await page.goto(world.links[0])
        await page.goto(f"{audit}/totals?by=platform&{YEAR}")
        counts = await page.locator("tbody tr td:nth-child(2)").all_inner_texts()
        assert sum(map(int, counts)) == RUNS
        await expect(page.get_by_role("img", name="Runs by platform")).to_contain_text("discord")
        await expect(page.get_by_role("img", name="Runs with an error, by type")).to_be_visible()
        await page.goto(f"{audit}/chain/verify")
        await expect(page.locator(".verdict")).to_contain_text("The chain holds.")
        await world.store._records.update_one({"_id": 7}, {"$set": {"content.text": "another"}})  # type: ignore[attr-defined]
        await page.reload()
        await expect(page.locator(".verdict")).to_contain_text("content of record 7")
        await page.goto(f"{audit}/chain?kind=asked")
        assert set(await page.locator("tbody tr td:nth-child(3)").all_inner_texts()) == {"asked"}


async def test_exports_hold_what_the_filters_find_and_are_recorded(world: World) -> None:
    async with filled(world), world.client() as client:
        found = {kind: await client.get(f"/audit/export/{kind}?platform=discord&cost=nan") for kind in ("csv", "jsonl", "parquet")}
        rows = [json.loads(line) for line in found["jsonl"].text.splitlines()]
        assert rows
        assert all(row["platform"] == "discord" for row in rows)
        assert [row["turn"] for row in csv.DictReader(io.StringIO(found["csv"].text))] == [row["turn"] for row in rows]
        assert parquet.read_table(io.BytesIO(found["parquet"].content)).column("turn").to_pylist() == [row["turn"] for row in rows]
        records = (await world.store.records(Trail(kind=Deed.EXPORTED))).records
        assert [record.entry.subject for record in records] == ["parquet", "jsonl", "csv"]
        assert records[0].entry.text == "platform=discord&cost=nan"
        assert (await client.get("/audit?cursor=nonsense")).status_code == 400
        assert (await client.get("/audit?since=yesterday&until=9999-12-31&cost=much&status=odd")).status_code == 200


async def test_hostile_text_does_nothing_and_axe_finds_nothing(world: World, browser: Browser) -> None:
    evil = Incoming(id="1", thread=ThreadId("terminal:evil"), author=Author(id=EVIL, name=EVIL), text=EVIL)
    turn = await make.answered(world.store, evil, make.step(code=EVIL, execution=make.ran(EVIL, EVIL)))
    await world.store.append(turn_entries(turn))
    async with world.site([]), world.site([]):
        links = list(world.links)
        for colours, width in (("light", 1280), ("dark", 390)):
            async with opened(browser, color_scheme=colours, viewport={"width": width, "height": 1200}) as page:
                base = links[0].partition("/?")[0]
                await page.goto(links.pop(0))
                for path in ("", "/totals", "/totals?by=person", "/chain", "/chain/verify", "?q=%3Cscript%3E&person=%22%3E%3Cb%3E"):
                    await page.goto(f"{base}/audit{path}")
                    assert "Audit" in await page.title()
                    assert await page.locator("main script, main iframe, main img, main b, main [onclick], main [onload], main [style]").count() == 0
                    assert await faults(page) == [], path
                    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
