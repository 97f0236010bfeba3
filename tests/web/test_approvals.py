"""Code that waits for a yes, in the web chat: buttons and words in Chromium, who may press them, and the API."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from adapters.common.access import REFUSED_STEER
from adapters.common.approvals import ANSWERED, CHANGED, VOID
from codeact_bot.tokens import create
from codeact_bot.types import Author, Deed, Ending, Incoming, Kind, Role, ThreadId
from tests.web.conftest import World, answers, ask, opened
from tests.web.staff import Place, served
from tests.web.test_access import NamedGate
from tests.web.test_accessible import faults

ANN, BOB = Author(id="ann", name="Ann"), Author(id="bob", name="Bob")
THREAD = ThreadId("web:of-ann")
FIRST = "I multiply.\n\n```python\nx = 6 * 7\nprint(x)\n```\n"
SECOND = "I look again.\n\n```python\nprint(x + 1)\n```\n"


@pytest.mark.needs("mongo", "chromium")
@pytest.mark.timeout(300)
async def test_code_waits_runs_after_a_yes_asks_again_and_does_not_run_after_a_no(world: World, page: Page) -> None:
    async with world.site([FIRST, SECOND, "I leave it.", FIRST, "It is 42."], approve=True):
        await page.goto(world.links[0])
        await ask(page, "What is 6 times 7?")
        await answers(page, 1)
        turn = page.locator(".turn").nth(0)
        await expect(turn.locator(".ending")).to_have_text("It has not run yet")
        await expect(turn.locator(".answer .prose")).to_have_text("May I run this code?")
        await expect(turn.locator("details.block[open] pre.code")).to_contain_text("x = 6 * 7")
        await expect(turn.locator(".output")).to_have_count(0)
        await page.reload()
        await page.get_by_role("button", name="Approve").click()
        await answers(page, 2)
        ran = page.locator(".turn").nth(1)
        await expect(ran.locator(".asked")).to_have_text("Approved: run this code.")
        await expect(ran.locator(".output")).to_have_text("42")
        await expect(ran.locator(".answer .prose")).to_have_text("May I run this code?")
        await expect(page.get_by_role("button", name="Approve")).to_have_count(1)
        await expect(ran.get_by_role("button", name="Retry")).to_have_count(0)
        await page.get_by_role("button", name="Decline").click()
        await answers(page, 3)
        await expect(page.locator(".answer").nth(2)).to_contain_text("Ada declined, so this code was not run.")
        await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        await ask(page, "Well?")
        await answers(page, 4)
        await ask(page, "Once more.")
        await answers(page, 5)
        await ask(page, "approve")
        await answers(page, 6)
        await expect(page.locator(".answer").nth(5)).to_contain_text("It is 42.")
        turns = await world.store.turns((await world.store.threads(limit=1))[0].id)
        assert [turn.incoming.kind for turn in turns if turn.incoming.approval] == [Kind.APPROVAL] * 3


@pytest.mark.needs("mongo", "chromium")
@pytest.mark.timeout(300)
async def test_buttons_leave_every_open_page_and_stay_away_when_it_is_loaded_anew(world: World, page: Page) -> None:
    async with world.site([FIRST, "It is 42.", FIRST, "Other."], approve=True) as service:
        await page.goto(world.links[0])
        await ask(page, "What is 6 times 7?")
        await answers(page, 1)
        other = await page.context.new_page()
        await other.goto(page.url)
        await other.get_by_role("button", name="Decline").wait_for()
        await page.get_by_role("button", name="Approve").click()
        await answers(other, 2)
        for each in (page, other):
            await expect(each.get_by_role("button", name="Approve")).to_have_count(0)
            await expect(each.locator(".turn").nth(1).locator(".question")).to_contain_text("Approved: run this code.")
            await expect(each.locator(".turn").nth(1).locator(".who strong")).to_have_text("Ada")
        await ask(page, "Once more.")
        await answers(other, 3)
        await expect(other.get_by_role("button", name="Approve")).to_have_count(1)
        await other.goto(f"{page.url}?at={(await other.locator('.turn').nth(2).get_attribute('data-turn'))}")
        await expect(other.get_by_role("button", name="Approve")).to_have_count(1)
        thread = (await world.store.threads(limit=1))[0].id
        await service.accept(Incoming(id="elsewhere", thread=thread, author=BOB, text="And?"))
        for each in (page, other):
            await expect(each.locator(".answer").last).to_contain_text("Other.")
            await expect(each.get_by_role("button", name="Decline")).to_have_count(0)
            await each.reload()
            await expect(each.locator(".answer").last).to_contain_text("Other.")
            await expect(each.get_by_role("button", name="Decline")).to_have_count(0)


@pytest.mark.needs("mongo", "chromium")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_the_page_that_asks_can_be_used_by_everybody(world: World, browser: Browser, colours: str, width: int) -> None:
    async with world.site([FIRST, "Done."], approve=True), opened(browser, color_scheme=colours, viewport={"width": width, "height": 1200}) as page:
        await page.goto(world.links[0])
        await ask(page, "What is 6 times 7?")
        await answers(page, 1)
        assert await faults(page) == []
        await page.get_by_role("button", name="Approve").focus()
        await page.keyboard.press("Enter")
        await answers(page, 2)
        assert await faults(page) == []


async def proposed(place: Place) -> str:
    """A proposal for a question of Ann's, in a conversation that Bob wrote in, too; returns the beginning of its addresses."""
    await place.core.accept(Incoming(id="0", thread=THREAD, author=BOB, text="Hello."))
    await place.core.answer()
    await place.core.accept(Incoming(id="1", thread=THREAD, author=ANN, text="Whose?"))
    turn = await place.core.propose()
    assert turn.outcome is not None
    return f"/t/{THREAD}/{turn.id}/{{}}/{turn.outcome.proposal}"


async def press(client: httpx.AsyncClient, person: str, address: str) -> tuple[int, str]:
    await client.get("/", headers={"x-person": person})
    answer = await client.post(address, headers={"x-person": person, "x-csrf-token": "token", "accept": "*/*"})
    return answer.status_code, answer.text


async def test_those_may_say_yes_who_may_steer_the_question() -> None:
    async with served(gate=NamedGate()) as place, place.client() as client:
        address = await proposed(place)
        assert await press(client, "bob/member", address.format("approve")) == (403, REFUSED_STEER)
        assert (await press(client, "aud/auditor", address.format("approve")))[0] == 403
        (refused,) = [each.entry for each in await place.records(Deed.REFUSED)]
        assert (refused.author, refused.text, refused.thread) == (BOB, REFUSED_STEER, THREAD)
        await place.core.store.permit(THREAD, "bob")
        assert await press(client, "bob/member", address.format("approve")) == (204, "")
        said = place.core.accepted[-1]
        assert said.approval is not None
        assert (said.kind, said.author, said.asker, said.approval.yes, said.place) == (Kind.APPROVAL, BOB, ANN, True, "")
        assert await press(client, "ann/member", address.format("decline")) == (409, ANSWERED)
        assert await press(client, "root/admin", address.format("approve")) == (409, ANSWERED)


async def test_typed_words_are_for_those_who_may_steer_too_and_otherwise_words() -> None:
    async with served(gate=NamedGate()) as place, place.client() as client:
        await proposed(place)

        async def write(person: str, text: str) -> int:
            await client.get("/", headers={"x-person": person})
            return (await client.post(f"/t/{THREAD}/ask", data={"text": text}, headers={"x-person": person, "x-csrf-token": "token"})).status_code

        assert await write("bob/member", "Approve!") == 403
        assert await write("ann/member", "Decline.") == 204
        assert [each.kind for each in place.core.accepted[-1:]] == [Kind.APPROVAL]
        assert await write("ann/member", "yes") == 409, "it was answered already"
        await place.core.answer()
        assert await write("ann/member", "yes") == 204
        assert [each.kind for each in place.core.accepted[-1:]] == [Kind.QUESTION], "nothing waits for it any more"


async def test_another_code_and_a_proposal_that_something_was_asked_after_cannot_be_approved() -> None:
    async with served(gate=NamedGate()) as place, place.client() as client:
        address = await proposed(place)
        other = address.rpartition("/")[0].format("approve") + "/" + "0" * 64
        assert await press(client, "ann/member", other) == (409, CHANGED)
        await place.core.accept(Incoming(id="2", thread=THREAD, author=BOB, text="And?"))
        assert await press(client, "ann/member", address.format("approve")) == (409, VOID)
        await place.core.answer()
        assert await press(client, "ann/member", address.format("decline")) == (409, VOID)
        assert [each.kind for each in place.core.accepted] == [Kind.QUESTION] * 3


async def test_programs_see_what_waits_and_answer_it() -> None:
    async with served() as place, httpx.AsyncClient(base_url=place.base, timeout=30) as client:
        address = "/api/threads" + (await proposed(place)).removeprefix("/t").replace(f"{THREAD}/", f"{THREAD}/turns/")
        client.headers["authorization"] = f"Bearer {await create(place.core.store, 'ci', Role.ADMIN, None)}"
        (turn, _) = (await client.get(f"/api/threads/{THREAD}/turns")).json()["turns"]
        assert (turn["ending"], turn["answer"]) == (Ending.APPROVAL, "May I run this code?")
        assert address.endswith(turn["proposal"])
        assert (turn["steps"][0]["kind"], turn["steps"][0]["code"], turn["steps"][0]["result"]) == ("proposal", "print(6 * 7)", None)
        assert (await client.get("/api/threads", params={"state": "approval"})).json()["threads"][0]["ending"] == "approval"
        assert (await client.post(address.format("approve"))).status_code == 204
        again = await client.post(address.format("approve"))
        assert (again.status_code, again.json()) == (409, {"error": ANSWERED})
        said = place.core.accepted[-1].approval
        assert said is not None
        assert (said.digest, said.yes) == (turn["proposal"], True)
