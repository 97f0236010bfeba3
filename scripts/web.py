"""Plays the tour in the web chat, in the real Chromium on the real Docker, and saves docs/web*.png: `python -m scripts.web`.

Needs `make parts`; run it with their environment (`. /run/codeact-parts/env`).
"""

import asyncio
import secrets
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from adapters.web import Site, WebAdapter
from codeact_bot import app
from codeact_bot.desk import StoreDesk
from codeact_bot.model.tour import TOUR
from codeact_bot.settings import Settings, load
from codeact_bot.types import Author, Incoming, ThreadId
from tests import parts
from tests.web.conftest import ARGUMENTS, answers, ask, until

DOCS = Path(__file__).parent.parent / "docs"
PEOPLE = (("slack:T1:C1:1", "Grace", "Which region sold most in October?"), ("discord:7", "Linus", "Fit a line to these points"))
"""Conversations of other platforms that the list shows beside the web's own."""


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
    await page.screenshot(path=DOCS / name)
    await context.close()


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
        site = Site(at="127.0.0.1:0", secret=secrets.token_urlsafe(), owner=Author(id="ada", name="Ada"))
        adapter = WebAdapter(site, StoreDesk(opened.store), links.append)
        for number, (thread, name, text) in enumerate(PEOPLE):
            await opened.store.push(Incoming(id=str(number), thread=ThreadId(thread), author=Author(id=name, name=name), text=text))
        service = opened.service(adapter)
        running = asyncio.create_task(service.run())
        await until(lambda: bool(links))
        context = await browser.new_context(viewport={"width": 1280, "height": 860})
        page = await context.new_page()
        await play(page, links[0])
        state = folder / "state.json"
        await context.storage_state(path=state)
        address = page.url
        plot = "document.querySelector('.plot').closest('.turn').scrollIntoView()"
        error = "document.querySelector('.step.failed').closest('.turn').scrollIntoView()"
        await picture(browser, state, address, "web.png", "light", 1280, 860, error)
        await picture(browser, state, address, "web-dark.png", "dark", 1280, 860, plot)
        await picture(browser, state, address, "web-phone.png", "light", 390, 780, error)
        await picture(browser, state, address.partition("/t/")[0] + "/", "web-home.png", "light", 1280, 860, "")
        running.cancel()
        await asyncio.wait([running])


if __name__ == "__main__":
    asyncio.run(main())
