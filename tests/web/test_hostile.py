"""Text full of script, markup and control characters, wherever sandbox, model and people can write, changes nothing on the page."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.web.conftest import World, answers, ask, opened

pytestmark = [pytest.mark.needs("mongo", "chromium"), pytest.mark.timeout(300)]

EVIL = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><svg/onload=alert(1)></textarea></pre></title>"
    "<iframe src=javascript:alert(1)></iframe>{{7*7}}{% raw %}\u202e\u2066\x1b[31mred\x1b[0m\x07\x00&lt;b&gt;&#x202e;&#8294;"
)
MARKDOWN = (
    "[click](javascript:document.title='owned') [data](data:text/html,<script>1</script>) ![spy](http://127.0.0.1:9/spy.png) "
    "<b onclick=alert(1)>bold</b> [good.example](http://evil.example/) <http://plain.example/>\n\n"
    "| <i>a</i> | b |\n|---|---|\n| <script>1</script> | 2 |\n\n```html\n<script>document.title='owned'</script>\n```\n"
)
CODE = f"""evil = {EVIL!r}
print(evil)
for name in ("a<img src=x onerror=alert(1)>.svg", "page.html", "\\u202egpj.exe", "plot.png", "data.csv"):
    open(name, "w").write("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>document.title=1</script></svg>" + evil)
import sys
class Shown:
    def __repr__(self):
        return evil
class Evil(Exception):
    pass
Evil.__name__ = Evil.__qualname__ = evil[:70]
Shown()
"""
FAILS = "raise Evil(evil)  # <script>document.title='owned'</script>"


def step(code: str, thought: str = "") -> str:
    return f"{thought}\n\n```python\n{code}\n```\n"


async def untouched(page: Page) -> None:
    """Nothing ran, nothing was made, nothing was fetched."""
    assert await page.title() not in ("owned", "1")
    assert await page.evaluate("""() => [
        document.querySelectorAll("main script, main iframe, main object, main embed, main style, main link, main b[onclick], main svg:not(.icon)").length,
        [...document.querySelectorAll("*")].filter(each => [...each.attributes].some(one => one.name.startsWith("on") || one.name === "style" && !each.matches("textarea"))).length,
        [...document.querySelectorAll("main img")].filter(each => !each.closest(".plot")).length,
        [...document.querySelectorAll("main a")].filter(each => !/^https?:$/.test(each.protocol)).length,
        [...document.querySelectorAll("main .prose a")].filter(each => each.rel !== "noopener noreferrer nofollow").length,
    ]""") == [0, 0, 0, 0, 0]
    text = await page.locator("main").inner_text()
    assert not [character for character in text if character in "\u202e\u2066\x1b\x07\x00"]
    assert "<script>document.title='owned'</script>" in text


async def test_hostile_text_stays_text(world: World, page: Page, browser: Browser) -> None:
    replies = [step(CODE, EVIL + MARKDOWN), step(FAILS), f"{MARKDOWN}\n\n{EVIL}", "Second."]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dialogs: list[object] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog))  # noqa: PLW0108
    async with world.site(replies, delay=0.002):
        await page.goto(world.links[0])
        await page.set_input_files("#files", files=[{"name": "<b>up</b>.csv", "mimeType": "text/csv", "buffer": EVIL.encode()}])
        await ask(page, EVIL)
        await answers(page, 1)
        await page.locator("summary", has_text="Traceback").click()
        await untouched(page)
        for address in (page.url, world.base + "/"):
            await page.goto(address)
            await page.wait_for_selector("a.row")
            assert await page.evaluate("document.querySelectorAll('nav script, nav img:not(.brand img), nav iframe').length") == 0
            assert "<script>" in await page.locator("a.row .title").first.inner_text()
        await page.go_back()
        await page.wait_for_selector(".answer")
        await untouched(page)

        files = {await each.inner_text(): await each.get_attribute("href") for each in await page.locator(".step .file").all()}
        assert len(files) == 4, "the sandbox keeps the one with a name that runs backwards to itself"
        for link in files.values():
            answer = await page.request.get(world.base + link + "?show=1")
            assert answer.headers["content-disposition"].startswith("attachment"), "a file that says it is a picture and is none"
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        await page.get_by_role("link", name="read page.html").click()
        await expect(page.locator("pre.value")).to_contain_text("<svg xmlns=")
        assert await page.evaluate("document.querySelectorAll('main svg, main script').length") == 0
        async with opened(browser) as other:
            await other.goto(world.base + "/t/%3Cscript%3Edocument.title='owned'%3C%2Fscript%3E")
            assert await other.title() not in ("owned", "1")
    assert dialogs == []
    assert [each for each in asked if not each.startswith(world.base)] == []
