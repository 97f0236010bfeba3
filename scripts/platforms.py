"""Draws docs/slack.png and docs/discord.png: an answer as the real worker posts it, drawn from its payloads.

Needs chromium and what `make parts` starts. The emulators draw no rich text, so that the few elements which are used are drawn here.
"""

import asyncio
import html
import re
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import browser, openai_server, parts  # noqa: E402
from tests.discord import test_end_to_end as discord  # noqa: E402
from tests.slack import emulator, proxy, test_serve  # noqa: E402
from tests.slack.conftest import until  # noqa: E402

QUESTION = "Which region sold most last week, and by how much?"
BROKEN = """Let me look at the orders.

```python
import pandas as pd

orders = pd.DataFrame({"region": ["north", "south", "west", "south"], "price": [120.5, 80.0, 210.25, 155.0]})
orders.groupby("regoin")["price"].sum()
```
"""
FIXED = """The column is called `region`.

```python
totals = orders.groupby("region", as_index=False)["price"].sum().sort_values("price", ascending=False)
totals
```
"""
ANSWER = """The **south** sold most: **235.00**, which is 24.75 more than the west.

1. south, 235.00
2. west, 210.25
3. north, 120.50
"""
STYLE = """
body{font:15px/1.45 Lato,'DejaVu Sans',sans-serif;margin:0;padding:18px 24px;background:#fff;color:#1d1c1d}
.dark{background:#313338;color:#dbdee1}
.m{display:flex;gap:10px;margin:0 0 14px}
.a{width:38px;height:38px;border-radius:8px;color:#fff; display:flex;align-items:center;justify-content:center;font-weight:700;flex:none}
.dark .a{border-radius:50%}
.n{font-weight:700}
.t{color:#777;font-size:12px}
.c{color:#616061;font-size:13px;white-space:pre-line;margin:3px 0}
.dark .c{color:#949ba4}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:5px;padding:8px; font:13px 'DejaVu Sans Mono',monospace;margin:6px 0}
.dark pre{background:#2b2d31;border-color:#1e1f22}
.b{display:inline-block;border:1px solid #bbb;border-radius:5px;padding:4px 12px; font-weight:700;font-size:13px;margin:6px 6px 0 0}
.dark .b{background:#4e5058;border:0}
table{border-collapse:collapse;margin:6px 0;font-size:14px}
td{border:1px solid #ddd;padding:4px 12px}
tr:first-child td{font-weight:700;background:#f8f8f8}
.r{text-align:right}
ol,ul{margin:4px 0;padding-left:26px}
p{margin:2px 0}
.f{border:1px solid #ddd;border-radius:8px; padding:8px 12px;display:inline-block;margin:4px 6px 0 0;font-size:13px}
.dark .f{border-color:#1e1f22;background:#2b2d31}
code{background:#f0f0f0;padding:0 4px;border-radius:3px}
pre code{background:none;padding:0}
"""


def text_of(part: dict) -> str:
    match part["type"]:
        case "text":
            style, shown = part.get("style", {}), html.escape(part["text"]).replace("\n", "<br>")
            for name, tag in (("code", "code"), ("bold", "b"), ("italic", "i")):
                shown = f"<{tag}>{shown}</{tag}>" if style.get(name) else shown
            return shown
        case "link":
            return f"<u>{html.escape(part['text'])}</u>"
        case "rich_text_list":
            tag = "ol" if part["style"] == "ordered" else "ul"
            return f"<{tag}>{''.join(f'<li>{text_of(each)}</li>' for each in part['elements'])}</{tag}>"
        case "rich_text_preformatted":
            return f"<pre>{''.join(map(text_of, part['elements']))}</pre>"
    return "".join(map(text_of, part["elements"]))


def block_of(block: dict) -> str:
    match block["type"]:
        case "context":
            return "".join(f'<div class="c">{html.escape(each["text"])}</div>' for each in block["elements"])
        case "actions":
            return "".join(f'<span class="b">{html.escape(each["text"]["text"])}</span>' for each in block["elements"])
        case "table":
            sides = [each["align"] for each in block["column_settings"]]
            cell = lambda side, each: f'<td class="{side[0]}">{html.escape(each["text"])}</td>'  # noqa: E731
            rows = ("".join(map(cell, sides, row)) for row in block["rows"])
            return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
    return f"<div>{text_of(block)}</div>"


def message(name: str, colour: str, body: str) -> str:
    head = f'<div class="a" style="background:{colour}">{name[0].upper()}</div>'
    return f'<div class="m">{head}<div><span class="n">{name}</span> <span class="t">09:41</span><br>{body}</div></div>'


def files(names: list[str]) -> str:
    return "".join(f'<span class="f">📄 {html.escape(name)}</span>' for name in names)


def small(content: str) -> str:
    """Draw Discord's Markdown."""
    parts = re.split(r"^-# (.*)$", content, flags=re.MULTILINE)
    lines = (f'<div class="c">{MarkdownIt().renderInline(part)}</div>' if odd % 2 else MarkdownIt().render(part) for odd, part in enumerate(parts))
    return "".join(lines)


async def draw(target: str, kind: str, messages: list[str], height: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f'<meta charset="utf-8"><style>{STYLE}</style><body class="{kind}">{"".join(messages)}</body>', encoding="utf-8")
        await browser.picture(page.as_uri(), ROOT / "docs" / target, width=760, height=height)


async def slack(model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with emulator.running(Path(folder)) as workspace, proxy.running(workspace.address) as between:
            chosen = {"CODEACT_SANDBOX": "docker", "CODEACT_IMAGE": parts.IMAGE, "OPENAI_BASE_URL": model, **test_serve.tokens(between.address)}
            async with test_serve.serving(Path(folder), **chosen):
                await until(lambda: bool(between.sockets), 60)
                await workspace.send(f"<@{emulator.BOT}> {QUESTION}")
                await test_serve.answer_in(workspace, "sold most")
                await asyncio.sleep(2)
                posts = await workspace.posts()
    bodies = ["".join(map(block_of, each.get("blocks") or [])) + files([file["name"] for file in each.get("files") or []]) for each in posts]
    asked = message("ann", "#e01e5a", f"<div><b>@codeact</b> {QUESTION}</div>")
    await draw("slack.png", "light", [asked, *(message("codeact", "#1264a3", body) for body in bodies)], 730)


async def discord_too(model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with discord.serving(Path(folder), sandbox="docker", image=parts.IMAGE, openai_base_url=model) as world:
            await world.ask(QUESTION)
            await discord.answered(world, "sold most")
            await asyncio.sleep(2)
            posts = [each for each in world.thread.history() if each.author.id == world.env.backend.bot_user.id]
            buttons = {each.id: [button.label for row in each.components for button in row.children] for each in posts}
    bodies = [
        small(each.content)
        + files([file.filename for file in each.attachments])
        + "".join(f'<span class="b">{label}</span>' for label in buttons[each.id])
        for each in posts
    ]
    asked = message("Ada", "#5865f2", f"<div><b>@codeact</b> {QUESTION}</div>")
    await draw("discord.png", "dark", [asked, *(message("codeact", "#248046", body) for body in bodies)], 730)


async def main() -> None:
    openai_server.ANSWER = ANSWER
    openai_server.RESULT = "235"
    with openai_server.running(first=BROKEN, code=FIXED, failure="KeyError") as model:
        await slack(model)
        await discord_too(model)


if __name__ == "__main__":
    asyncio.run(main())
