"""Long lists and long conversations come in pages, and a permalink leads into the middle of one."""

from __future__ import annotations

import asyncio
import html
import re
from datetime import timedelta

import pytest

from adapters.web.pages import age_text
from codeact_bot.types import Incoming, ThreadId, now
from tests.store.make import answered
from tests.web.conftest import ADA, World

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(120)]


def asked(name: str, thread: str) -> Incoming:
    return Incoming(id=name, thread=ThreadId(thread), author=ADA, text=f"Question {name}.")


def questions(page: str) -> list[str]:
    return re.findall(r'<div class="asked">(Question \d+\.)</div>', page)


def button(page: str) -> str:
    """The address of the further page that a button fetches."""
    found = re.search(r'class="more" hx-get="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


async def test_a_long_conversation_is_read_backwards_page_by_page(world: World) -> None:
    turns = [await answered(world.store, asked(str(number), "web:long")) for number in range(45)]
    async with world.site([]), world.client() as client:
        page = (await client.get("/t/web%3Along")).text
        assert questions(page) == [f"Question {number}." for number in range(25, 45)]
        second = (await client.get(button(page))).text
        assert questions(second) == [f"Question {number}." for number in range(5, 25)]
        third = (await client.get(button(second))).text
        assert questions(third) == [f"Question {number}." for number in range(5)]
        assert button(third) == ""
        middle = (await client.get(f"/t/web%3Along?at={turns[10].id}")).text
        assert questions(middle) == [f"Question {number}." for number in range(10, 45)]
        assert questions((await client.get(button(middle))).text) == [f"Question {number}." for number in range(10)]
        assert (await client.get("/t/web%3Along?at=nowhere")).status_code == 404


async def test_a_long_list_goes_on_and_keeps_its_filters(world: World) -> None:
    for number in range(90):
        await world.store.push(asked(str(number), f"slack:T1:C1:{number}" if number % 2 else f"elsewhere:{number}"))
        await asyncio.sleep(0.001)
    async with world.site([]), world.client() as client:
        seen: list[str] = []
        address = "/conversations?platform=slack&text=quest&state=running"
        while address:
            page = (await client.get(address)).text
            seen += re.findall(r'href="/t/([^"]+)"', page)
            address = button(page)
        assert seen == [f"slack%3AT1%3AC1%3A{number}" for number in range(89, 0, -2)]


@pytest.mark.parametrize("text", ["x", "1 ", f"{'9' * 16} a", "-5 a", "5", "\u0665 a", "999999999999999 a"])
async def test_a_page_that_nobody_was_sent_to_is_the_first(world: World, text: str) -> None:
    async with world.site([]), world.client() as client:
        assert (await client.get("/conversations", params={"after": text})).status_code == 200
        assert (await client.get("/conversations", params={"state": text, "platform": text})).status_code == 200


def test_ages_in_few_words() -> None:
    assert [age_text(now() - timedelta(seconds=seconds)) for seconds in (5, 300, 7200)] == ["now", "5 min", "2 h"]
