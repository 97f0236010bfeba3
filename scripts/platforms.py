"""Draws docs/slack.png and docs/discord.png: an answer as it is posted, by the real worker. Needs chromium and what `make parts` starts."""

import asyncio
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import browser, parts  # noqa: E402
from tests.discord import test_end_to_end as discord  # noqa: E402
from tests.slack import emulator, proxy, test_serve  # noqa: E402
from tests.slack.conftest import until  # noqa: E402

QUESTION = "And if I pay 200 more each month?"
OPEN_THREAD = "[...document.querySelectorAll('button, a, div, span')].filter(e => /^\\d+ repl/.test(e.textContent.trim())).pop().click()"


async def slack() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with emulator.running(Path(folder)) as workspace, proxy.running(workspace.address) as between:
            chosen = {"CODEACT_SANDBOX": "docker", "CODEACT_IMAGE": parts.IMAGE, **test_serve.tokens(between.address)}
            async with test_serve.serving(Path(folder), **chosen):
                await until(lambda: bool(between.sockets), 60)
                await workspace.send(f"<@{emulator.BOT}> {QUESTION}")
                await test_serve.answer_in(workspace, "sooner")
                await browser.picture(workspace.address, ROOT / "docs" / "slack.png", script=OPEN_THREAD, width=1100, height=560)


async def discord_too() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with discord.serving(Path(folder), sandbox="docker", image=parts.IMAGE) as world:
            await world.ask(QUESTION)
            await discord.answered(world, "sooner")
            async with world.env.preview(world.thread, viewers=[world.ada], layout="channel", width=900, height=560) as preview:
                await browser.picture(preview.url, ROOT / "docs" / "discord.png", width=900, height=560)


async def main() -> None:
    await slack()
    await discord_too()


if __name__ == "__main__":
    asyncio.run(main())
