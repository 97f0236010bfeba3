"""From a mention in Discord to the posted answer: real discord.py, worker, mongod, sandbox and openai client; an error and its correction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import discord
import pytest
import simcord

from adapters.discord import DiscordAdapter
from codeact_bot import app
from codeact_bot.desk import StoreDesk
from codeact_bot.settings import load
from codeact_bot.types import Access
from tests import guards, openai_server
from tests.discord.conftest import World
from tests.discord.test_messages import own
from tests.slack.conftest import until
from tests.slack.test_serve import BROKEN, FIXED, SANDBOXES

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(300)]


@asynccontextmanager
async def serving(folder: Path, **chosen: object) -> AsyncIterator[World]:
    """A guild whose bot is the whole worker of `codeact-bot serve`; only the login is simcord's."""
    async with app.open_app(load(data=folder, process_for_others=True, **chosen), app.quiet) as opened:
        adapter = DiscordAdapter(token="token", desk=StoreDesk(opened.store), access=Access())
        service = opened.service(adapter)
        adapter.client.open(service)
        env = simcord.Env(adapter.client, approved_intents=discord.Intents.all())
        await env.start()

        async def listen(inbox: object) -> None:
            await asyncio.Event().wait()

        adapter.listen = listen  # type: ignore[method-assign]
        working = asyncio.create_task(service.run())
        try:
            yield World(env=env, core=None, adapter=adapter, access=Access())  # type: ignore[arg-type]
        finally:
            working.cancel()
            await asyncio.wait([working])
            await env.shutdown()
    env.raise_errors()


async def answered(world: World, words: str) -> discord.Message:
    """Wait for the answer in the only thread."""

    def there() -> bool:
        return bool(world.channel.threads) and any(words in each.content and "token" in each.content for each in own(world, world.thread))

    await until(there, 60)
    return next(each for each in own(world, world.thread) if words in each.content)


@pytest.mark.parametrize("sandbox", SANDBOXES)
async def test_from_a_mention_to_the_answer_with_an_error_and_its_correction(tmp_path: Path, sandbox: str, request: pytest.FixtureRequest) -> None:
    before = guards.containers()
    image = request.getfixturevalue("docker_image") if sandbox == "docker" else ""
    with openai_server.running(first=BROKEN, code=FIXED) as model:
        async with serving(tmp_path, sandbox=sandbox, image=image, openai_base_url=model) as world:
            await world.ask("What is 2 to the power of 100?")
            post = await answered(world, openai_server.RESULT)
            assert "✗ step 1 · NameError" in post.content
            assert "✓ step 2" in post.content
            shown = await world.ada.click(post, label="Show code")
            assert "power = 2**100" in shown.response.content
    assert guards.containers() == before
