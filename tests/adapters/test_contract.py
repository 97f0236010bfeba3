"""What every chat adapter must do: the terminal, Slack (real slack-bolt, emulator), Discord (real discord.py, simcord), the web (HTTP)."""

from __future__ import annotations

import asyncio
import html
import io
import json
import re
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from rich.console import Console

from adapters.console import About, ConsoleAdapter, Line
from adapters.web import Site, WebAdapter
from codeact_bot.ports import ChatAdapter
from codeact_bot.types import Access, Author, Incoming
from tests.adapters import stage
from tests.adapters.core import Core
from tests.adapters.test_console_hostile import HOSTILE
from tests.discord import conftest as discord
from tests.discord.test_messages import own
from tests.slack import conftest as slack
from tests.slack import emulator
from tests.slack.conftest import until


class Place(Protocol):
    """An adapter, somebody who writes, and what people see."""

    adapter: ChatAdapter

    async def hand_in(self, *texts: str) -> list[Incoming]:
        """Let somebody write in one conversation; returns what the core was handed."""

    async def seen(self) -> list[str]:
        """What the bot has posted."""


class Terminal:
    """The terminal chat on paper."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._screen = io.StringIO()
        self.adapter = self._make()

    def _make(self, *texts: str) -> ConsoleAdapter:
        self.core = stage.Stage(stage.play_nothing)
        adapter = ConsoleAdapter(
            thread=stage.THREAD,
            author=Author(id="1", name="Ada"),
            desk=self.core,
            about=About(model="scripted", sandbox="process (plain)", demo=True),
            saved=self._folder,
            console=Console(file=self._screen, width=90, height=40, highlight=False, _environ={}),
            lines=stage.listed([Line(text=text) for text in texts]),
            keyboard=False,
        )
        self.core.adapter = adapter
        return adapter

    async def hand_in(self, *texts: str) -> list[Incoming]:
        self.adapter = self._make(*texts)
        await self.adapter.listen(self.core)
        return self.core.accepted

    async def seen(self) -> list[str]:
        return [self._screen.getvalue()]


class Slack:
    """A Slack workspace."""

    def __init__(self, world: slack.World) -> None:
        self._world = world
        self.adapter: ChatAdapter = world.adapter

    async def hand_in(self, *texts: str) -> list[Incoming]:
        thread = ""
        for text in texts:
            thread = thread or await self._world.ask(text)
            if text is not texts[0]:
                await self._world.ask(text, thread=thread)
        return self._world.core.accepted

    async def seen(self) -> list[str]:
        return [emulator.shown(each) for each in await self._world.slack.posts()]


class Discord:
    """A Discord guild."""

    def __init__(self, world: discord.World) -> None:
        self._world = world
        self.adapter: ChatAdapter = world.adapter

    async def hand_in(self, *texts: str) -> list[Incoming]:
        await self._world.ask(texts[0])
        turn = stage.turn_of(self._world.core.accepted[0])
        await self.adapter.reply(turn)
        for text in texts[1:]:
            await self._world.ada.send(self._world.thread, text)
        return self._world.core.accepted

    async def seen(self) -> list[str]:
        return [message.content for message in own(self._world, self._world.thread)]


class Web:
    """The web chat, and a browser without a screen that follows the conversation."""

    def __init__(self, adapter: WebAdapter, core: Core, client: httpx.AsyncClient, tasks: asyncio.TaskGroup) -> None:
        self.adapter: ChatAdapter = adapter
        self._core = core
        self._client = client
        self._tasks = tasks
        self._pieces: dict[str, str] = {}
        self._following: asyncio.Task[None] | None = None

    async def hand_in(self, *texts: str) -> list[Incoming]:
        where = (await self._client.post("/new", data={"text": texts[0]})).json()["location"]
        for text in texts[1:]:
            assert (await self._client.post(f"{where}/ask", data={"text": text})).status_code == 204
        self._following = self._tasks.create_task(self._follow(where))
        await until(lambda: "waiting" in self._pieces)
        return self._core.accepted

    async def _follow(self, where: str) -> None:
        async with self._client.stream("GET", f"{where}/events", timeout=None) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    self._pieces |= {piece["id"]: piece["html"] for piece in json.loads(line.removeprefix("data: "))}

    async def seen(self) -> list[str]:
        await asyncio.sleep(0.5)
        turns = [piece for name, piece in self._pieces.items() if name.startswith("turn-")]
        return [html.unescape(re.sub(r"<[^>]*>", "", piece)) for piece in turns]

    def close(self) -> None:
        if self._following is not None:
            self._following.cancel()


@asynccontextmanager
async def web() -> AsyncIterator[Web]:
    core, links = Core(), list[str]()
    adapter = WebAdapter(Site(at="127.0.0.1:0", secret="s" * 40, owner=Author(id="ada", name="Ada")), core.desk, links.append)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(adapter.listen(core))
        await until(lambda: bool(links))
        async with httpx.AsyncClient(base_url=links[0].partition("/?")[0], follow_redirects=True) as client:
            page = (await client.get(links[0])).text
            client.headers["x-csrf-token"] = page.partition('name="csrf" content="')[2].partition('"')[0]
            place = Web(adapter, core, client, tasks)
            yield place
            place.close()
        listening.cancel()


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Place]:
    if kind == "slack":
        async with slack.opened(Access(), folder) as workspace:
            yield Slack(workspace)
    elif kind == "discord":
        async with discord.opened(Access()) as guild:
            yield Discord(guild)
    elif kind == "web":
        async with web() as site:
            yield site
    else:
        yield Terminal(folder)


@pytest.fixture(params=["terminal", pytest.param("slack", marks=pytest.mark.needs("slack")), "discord", "web"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(request.param, tmp_path) as place:
        yield place


async def test_each_message_is_handed_in_once_in_order_and_in_one_conversation(place: Place) -> None:
    handed = await place.hand_in("first", "second", "third")
    assert [message.text for message in handed] == ["first", "second", "third"]
    assert len({message.id for message in handed}) == 3
    assert len({message.thread for message in handed}) == 1
    assert all(message.author.name.lower() in ("ada", "ann") for message in handed)


async def test_the_prefixes_cover_the_threads_it_hands_in(place: Place) -> None:
    (message,) = await place.hand_in("first")
    assert message.thread.startswith(tuple(place.adapter.prefixes))


async def test_a_whole_turn_ends_with_its_answer_and_what_it_took(place: Place) -> None:
    (message,) = await place.hand_in("first")
    turn = stage.turn_of(message)
    reply = await place.adapter.reply(turn)
    for event in stage.every_kind(turn):
        await reply.show(event)
    text = "\n".join(await place.seen())
    for part in ("KeyError", "leads", "5 steps · 4.2 s", "north", "88,310.50"):
        assert part in text


async def test_a_reply_goes_on_after_a_crash_in_the_same_post(place: Place) -> None:
    (message,) = await place.hand_in("first")
    turn = stage.turn_of(message)
    first = await place.adapter.reply(turn)
    await first.show(stage.every_kind(turn)[2])
    step = stage.ran(0, "x = 1")
    again = await place.adapter.reply(replace(turn, reply=first.reference, steps=(step,)))
    assert again.reference == first.reference
    await again.show(stage.ended(turn, [step], "Done now."))
    assert sum("Done now." in each for each in await place.seen()) == 1


async def test_an_answer_that_was_owed_is_shown_by_a_new_reply(place: Place) -> None:
    (message,) = await place.hand_in("first")
    done = stage.ended(stage.turn_of(message), [], "Done now.")
    reply = await place.adapter.reply(done.turn)
    await reply.show(done)
    assert sum(each.count("Done now.") for each in await place.seen()) == 1


async def test_nothing_that_sandbox_or_model_write_controls_what_people_see(place: Place) -> None:
    (message,) = await place.hand_in("first")
    turn = stage.turn_of(message)
    reply = await place.adapter.reply(turn)
    for event in stage.every_kind(turn, HOSTILE):
        await reply.show(event)
    text = "\n".join(await place.seen())
    assert not [c for c in text if unicodedata.category(c) == "Cf" or c in "\x07\x08\x0e\x7f\x1b\x90\x9b\x9c"]
    assert "[bold red]markup[/]" in text


async def test_it_says_that_people_are_heard(place: Place) -> None:
    async def heard() -> bool:
        return bool((await place.adapter.check()).ok)

    await until(heard)
    assert (await place.adapter.check()).remedy == ""
