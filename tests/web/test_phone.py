"""The pages on a phone, in light and in dark: nothing is wider than the screen, targets are large enough, and cards say what each figure is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from playwright.async_api import Browser, Page, expect

from benchmarks.audit import fill
from codeact_bot.audit import turn_entries
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author, Incoming, ThreadId
from tests.store import make
from tests.web.conftest import World, answers, ask, opened
from tests.web.test_accessible import TABLE
from tests.web.test_audit_pages import RUNS, YEAR
from tests.web.test_conversation import BROKEN, CSV, FIXED

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]
PHONES = pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 640)])
COLOURS = pytest.mark.parametrize("colours", ["light", "dark"])
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3

SMALL = """() => [...document.querySelectorAll("a, button, summary, select, textarea, label:has(input), input:not(label input)")]
    .filter((each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && getComputedStyle(each).clipPath === "none")
    .filter((each) => !each.closest(".prose") && !each.matches(".skip"))
    .map((each) => [each, each.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < 24)
    .map(([each, box]) => `${each.outerHTML.slice(0, 120)} ${box.width} x ${box.height}`)"""
"""What can be pressed and is smaller than WCAG 2.2, 2.5.8 has it; links within a text are of its line's height."""

CARDS = """() => [...document.querySelectorAll(".cards tbody tr")].map((row) => {
    const heads = [...row.closest("table").querySelectorAll("th")].map((each) => each.textContent), card = row.getBoundingClientRect();
    const ruler = document.body.appendChild(document.createElement("span"));
    const cells = [...row.cells].map((cell, column) => {
        const label = getComputedStyle(cell, "::before"), box = cell.getBoundingClientRect();
        Object.assign(ruler.style, { fontFamily: label.fontFamily, fontSize: label.fontSize, fontWeight: label.fontWeight });
        ruler.textContent = label.content === "none" ? "" : label.content.replaceAll('"', "");
        return {
            head: heads[column], label: ruler.textContent, main: cell.matches(".main"), shown: cell.checkVisibility(), text: cell.textContent.trim(),
            fits: ruler.getBoundingClientRect().width < parseFloat(getComputedStyle(cell).paddingLeft), cut: cell.scrollWidth > cell.clientWidth,
            inside: box.left >= card.left && box.right <= card.right, box: [box.left, box.top, box.right, box.bottom],
            colours: [label.color, getComputedStyle(row.closest(".wide")).backgroundColor],
        };
    });
    ruler.remove();
    return cells;
})"""


@asynccontextmanager
async def phone(world: World, browser: Browser, colours: str, width: int, height: int) -> AsyncIterator[tuple[Page, str]]:
    """A page on a phone, signed in, on a site with a team's runs and one of very long words; and where the audit is."""
    assert isinstance(world.store, MongoStore)
    incoming = Incoming(id="long", thread=ThreadId("slack:T1:C1:1"), author=Author(id="U1", name=LONG), text=LONG)
    turn = await make.answered(world.store, incoming, make.step(code=f"x = '{LONG}'", execution=make.ran(LONG, LONG)))
    await world.store.append(turn_entries(turn))
    shape = {"viewport": {"width": width, "height": height}, "is_mobile": True, "has_touch": True}
    await fill(world.store, RUNS)
    async with world.site([BROKEN, FIXED, TABLE, "There."]), opened(browser, color_scheme=colours, **shape) as page:
        await page.goto(world.links[0])
        yield page, f"{world.base}/audit"


async def fits(page: Page, width: int) -> None:
    """Nothing makes the page wider than the screen, and whatever can be pressed is large enough."""
    assert await page.evaluate("document.documentElement.scrollWidth") == width, page.url
    assert await page.evaluate(SMALL) == [], page.url


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(…)`, as WCAG defines it."""
    parts = [int(each) / 255 for each in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@COLOURS
@PHONES
async def test_the_cards_of_the_audit(world: World, browser: Browser, colours: str, width: int, height: int) -> None:
    async with phone(world, browser, colours, width, height) as (page, audit):
        for path, columns in (("", 10), ("/chain", 6)):
            await page.goto(f"{audit}{path}")
            rows = await page.evaluate(CARDS)
            assert len(rows) == 50
            for cells in rows:
                assert len(cells) == columns
                assert [cell["text"] for cell in cells if cell["shown"]] == [cell["text"] for cell in cells if cell["text"]], "only what is empty is left out"
                shown = [cell for cell in cells if cell["shown"]]
                assert all(cell["inside"] and not cell["cut"] for cell in shown), shown
                named = [cell for cell in shown if not cell["main"]]
                assert len(named) == len(shown) - 1
                for cell in named:
                    assert cell["label"]
                    assert cell["label"] in cell["head"]
                    assert cell["fits"], cell
                    assert contrast(*cell["colours"]) >= 4.5
                apart(cells)
            await fits(page, width)


def apart(cells: list[dict[str, list[float]]]) -> None:
    """No cell of a card lies upon another."""
    boxes = sorted((cell["box"] for cell in cells if cell["shown"]), key=lambda box: (box[1], box[0]))
    for one, other in pairwise(boxes):
        assert one[3] <= other[1] + 1 or one[2] <= other[0] + 1 or other[2] <= one[0] + 1, (one, other)


@COLOURS
@PHONES
async def test_totals_verification_and_filters(world: World, browser: Browser, colours: str, width: int, height: int) -> None:
    async with phone(world, browser, colours, width, height) as (page, audit):
        for path in (f"/totals?{YEAR}", f"/totals?by=person&{YEAR}", f"/totals?by=error&{YEAR}", "/totals?q=nothing", "/chain/verify", "?q=nothing", "?cursor=nonsense"):
            await page.goto(f"{audit}{path}")
            await fits(page, width)
        await page.goto(f"{audit}/totals?by=person&{YEAR}")
        name = page.locator(".totals tbody th").first
        before = await name.bounding_box()
        await page.locator(".wide").evaluate("each => each.scrollBy(200, 0)")
        assert await name.bounding_box() == before, "the name stays while the figures are looked through"
        await page.goto(audit)
        await page.get_by_text("More filters").tap()
        await expect(page.get_by_label("Error type")).to_be_visible()
        await fits(page, width)


@COLOURS
@PHONES
async def test_the_list_a_conversation_and_a_run(world: World, browser: Browser, colours: str, width: int, height: int) -> None:
    async with phone(world, browser, colours, width, height) as (page, audit):
        await page.goto(world.base)
        await fits(page, width)
        tops = [(await page.locator(each).bounding_box() or {})["y"] for each in (".brand", "h1", "#question", "#text", "a.row >> nth=0")]
        assert tops == sorted(tops), "the name, the question, the list"
        given = [{"name": name, "mimeType": "text/csv", "buffer": CSV} for name in ("sales.csv", f"{LONG[:60]}.csv")]
        await page.set_input_files("#files", files=given)  # type: ignore[arg-type]
        await fits(page, width)
        await ask(page, LONG)
        await answers(page, 1)
        for summary in await page.locator(".turn summary").all():
            await summary.tap()
        await fits(page, width)
        await page.goto(f"{audit}?q={LONG}")
        await page.locator(".cards a").first.tap()
        await page.wait_for_url("**/t/**")
        await fits(page, width)
