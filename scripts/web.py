"""Plays the tour in the web chat, in the real Chromium on the real Docker, and saves docs/web*.png and, of a made-up team, docs/audit*.png.

`python -m scripts.web`

Needs `make parts`; run it with their environment (`. /run/codeact-parts/env`).
"""

import asyncio
import io
import secrets
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from adapters.web import Site, WebAdapter
from codeact_bot import app
from codeact_bot.desk import StoreDesk
from codeact_bot.model.tour import TOUR
from codeact_bot.settings import Settings, load
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Author
from scripts.team import fill
from tests import parts
from tests.web.conftest import ARGUMENTS, answers, ask, until

DOCS = Path(__file__).parent.parent / "docs"
ERROR = "document.querySelector('.step.failed').closest('.turn').scrollIntoView()"
PLOT = "document.querySelector('.plot').closest('.turn').scrollIntoView()"


async def play(page: Page, link: str) -> None:
    """Ask the tour's questions."""
    await page.goto(link)
    for number, stop in enumerate(TOUR, 1):
        for file in stop.files:
            await page.set_input_files("#files", files=[{"name": file.name, "mimeType": "text/csv", "buffer": file.data or b""}])
        await ask(page, stop.question)
        await answers(page, number)
    await page.mouse.move(0, 0)


async def picture(browser: Browser, state: Path, address: str, name: str, colours: str, width: int, height: int, show: str) -> None:
    context = await browser.new_context(
        storage_state=state, color_scheme=colours, viewport={"width": width, "height": height}, device_scale_factor=1.5
    )
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_timeout(1500)
    if show:
        await page.evaluate(show)
        await page.wait_for_timeout(700)
    taken = await page.screenshot()
    await context.close()
    await asyncio.to_thread(keep, taken, DOCS / name)


def keep(taken: bytes, path: Path) -> None:
    """Save a picture with as few colours as nobody misses, at a third of the size."""
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


async def main() -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=parts.CHROMIUM, args=ARGUMENTS)
        with tempfile.TemporaryDirectory() as folder:
            settings = load(data=Path(folder), sandbox="docker", image=parts.IMAGE, openai_api_key=None, openai_base_url="")
            await draw(browser, settings, Path(folder))
        await browser.close()


async def draw(browser: Browser, settings: Settings, folder: Path) -> None:
    links: list[str] = []
    async with app.open_app(settings, app.quiet) as opened:
        assert isinstance(opened.store, MongoStore)
        site = Site(at="127.0.0.1:0", secret=secrets.token_urlsafe(), owner=Author(id="ada", name="Ada Lovelace"))
        service = opened.service(WebAdapter(site, StoreDesk(opened.store), links.append))
        running = asyncio.create_task(service.run())
        await until(lambda: bool(links))
        context = await browser.new_context(viewport={"width": 1280, "height": 860})
        page = await context.new_page()
        await play(page, links[0])
        await fill(opened.store)
        await pictures(browser, page, folder / "state.json")
        running.cancel()
        await asyncio.wait([running])


async def pictures(browser: Browser, page: Page, state: Path) -> None:
    """Take all pictures, as the person whom the page belongs to."""
    await page.context.storage_state(path=state)
    base, address = page.url.partition("/t/")[0], page.url
    await picture(browser, state, address, "web.png", "light", 1280, 860, ERROR)
    await picture(browser, state, address, "web-dark.png", "dark", 1280, 860, PLOT)
    await picture(browser, state, address, "web-phone.png", "light", 390, 780, ERROR)
    await picture(browser, state, f"{base}/", "web-home.png", "light", 1280, 860, "")
    await picture(browser, state, f"{base}/audit", "audit.png", "light", 1280, 720, "")
    await picture(browser, state, f"{base}/audit/totals", "audit-totals.png", "light", 1280, 860, "")
    await picture(browser, state, f"{base}/audit/chain", "audit-records.png", "dark", 1280, 520, "")
    await picture(browser, state, f"{base}/audit/chain/verify", "audit-verified.png", "light", 780, 330, "")


if __name__ == "__main__":
    asyncio.run(main())
