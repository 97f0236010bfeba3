"""The audit by keyboard alone, and whatever axe knows of, in light and in dark, wide and narrow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, expect

from codeact_bot.types import Author, Deed, Trail
from tests.web.conftest import World, opened
from tests.web.test_accessible import faults
from tests.web.test_audit_pages import RUNS, YEAR, filled

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]

FOCUS = """() => {
    const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
    const head = document.querySelector("header.head"), edge = head.contains(here) ? 0 : head.getBoundingClientRect().bottom;
    return {
        name: here.name || here.getAttribute("aria-label") || here.textContent.trim().slice(0, 200),
        shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: box.bottom > edge && box.top < window.innerHeight,
    };
}"""


async def tab_to(page: Page, name: str, key: str = "Tab", limit: int = 90) -> None:
    """Press Tab until the focus is there; wherever it stops on the way, it can be seen."""
    for _ in range(limit):
        await page.keyboard.press(key)
        here = await page.evaluate(FOCUS)
        assert here["shown"], f"no sign of the focus on {here['name']!r}"
        assert here["seen"], f"{here['name']!r} has the focus out of sight"
        if here["name"] == name:
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


async def test_by_keyboard_alone(world: World, page: Page) -> None:
    async with filled(world) as audit:
        await page.goto(world.links[0])
        await page.goto(audit)
        rows = page.locator(".runs tbody tr")
        await expect(rows).to_have_count(50)

        await tab_to(page, "platform")
        await page.keyboard.type("Di")
        await expect(page.locator(".runs td:nth-child(3)").first).to_contain_text("Discord")
        assert await page.evaluate("document.activeElement.name") == "platform", "the list was loaded anew, and the focus stayed"
        await expect(page).to_have_url(f"{audit}?platform=discord")
        await expect(page.locator("#said")).to_contain_text("lines found")
        found = await rows.count()
        await tab_to(page, "q", "Shift+Tab")
        await page.keyboard.type("no such words")
        await expect(page.locator(".nothing")).to_contain_text("No run fits these filters.")
        await expect(page.locator("#said")).to_have_text("Nothing was found.")
        await page.keyboard.press("Control+A")
        await page.keyboard.press("Delete")
        await expect(rows).to_have_count(found)
        assert await page.evaluate("document.activeElement.name") == "q"
        await page.reload()
        await expect(rows).to_have_count(found)
        await expect(page.locator("select[name=platform]")).to_have_value("discord")
        await tab_to(page, "Totals")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{audit}/totals?platform=discord")

        await page.goto(audit)
        first = await rows.first.get_by_role("link").inner_text()
        await tab_to(page, "Older →")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**cursor=**")
        await expect(page.locator("#found")).to_be_focused()
        question = await rows.first.get_by_role("link").inner_text()
        assert question != first
        await tab_to(page, question, limit=2)
        await page.keyboard.press("Shift+Tab")
        await tab_to(page, "← Newer")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{audit}#found")
        await expect(rows.first.get_by_role("link")).to_have_text(first)
        await expect(page.locator("#found")).to_be_focused()

        await tab_to(page, "CSV")
        async with page.expect_download() as downloading:
            await page.keyboard.press("Enter")
        assert (await downloading.value).suggested_filename == "runs.csv"
        await page.goto(f"{audit}?platform=discord")
        asked = await rows.nth(1).get_by_role("link").inner_text()
        await tab_to(page, asked)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/t/**")
        await page.go_back()
        await expect(rows).to_have_count(found)


async def test_records_go_back_and_forth_and_lead_to_their_runs(world: World, page: Page) -> None:
    async with filled(world) as audit:
        await page.goto(world.links[0])
        await page.goto(f"{audit}/chain?kind=asked")
        numbers = page.locator("tbody tr td:first-child")
        newest = await numbers.all_inner_texts()
        await tab_to(page, "Older →")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**cursor=**")
        assert not set(await numbers.all_inner_texts()) & set(newest)
        assert set(await page.locator("tbody tr td:nth-child(3)").all_inner_texts()) == {"asked"}
        await page.get_by_role("link", name="← Newer").click()
        await expect(numbers.first).to_have_text(newest[0])
        assert "/t/" in (await page.locator("tbody .main a").first.get_attribute("href") or "")
        await page.wait_for_load_state()  # with its scripts, which take up what is chosen
        await page.get_by_label("Kind").select_option("ended")
        await expect(page).to_have_url(f"{audit}/chain?kind=ended")


async def test_a_line_of_totals_leads_to_its_runs(world: World, page: Page) -> None:
    async with filled(world) as audit:
        await page.goto(world.links[0])
        await page.goto(f"{audit}/totals?by=platform&{YEAR}")
        counts = dict(zip(await page.locator("tbody th").all_inner_texts(), await page.locator("tbody td:nth-child(2)").all_inner_texts(), strict=True))
        assert int(counts["discord"]) < 50 < RUNS
        await page.get_by_role("link", name="discord", exact=True).click()
        await expect(page.locator(".runs tbody tr")).to_have_count(int(counts["discord"]))


@pytest.mark.parametrize(("colours", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
async def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(world: World, browser: Browser, colours: str, width: int) -> None:
    async with filled(world) as audit, opened(browser, color_scheme=colours, viewport={"width": width, "height": 1600}) as page:
        await page.goto(world.links[0])
        paths = ["", "?q=nothing+of+this+kind", "?platform=discord", f"/totals?{YEAR}", f"/totals?by=person&{YEAR}", "/totals?q=nothing", "/chain", "/chain?kind=tool", "/chain/verify"]
        for path in (*paths, "?cursor=nonsense"):
            await page.goto(f"{audit}{path}")
            assert await faults(page) == [], path
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        await world.store._records.update_one({"_id": 7}, {"$set": {"content.text": "another"}})  # type: ignore[attr-defined]
        await page.goto(f"{audit}/chain/verify")
        await expect(page.locator(".verdict")).to_contain_text("The chain is broken.")
        assert await faults(page) == []


async def test_looks_at_lists_are_recorded_once_for_each_kind(world: World) -> None:
    async with filled(world), world.client() as client:
        for path in ("/audit", "/audit?q=x", "/audit/totals", "/audit/chain", "/audit/chain?kind=asked"):
            assert (await client.get(path)).status_code == 200
        records = (await world.store.records(Trail(kind=Deed.VIEWED))).records
        told = [replace(record.entry, key="", at=records[0].entry.at) for record in records]
        assert [entry.subject for entry in told] == ["GET /audit/chain", "GET /audit/totals", "GET /audit"]
        assert {entry.author for entry in told} == {Author(id="ada", name="Ada")}
