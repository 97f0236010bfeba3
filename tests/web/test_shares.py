"""Links by which everybody may read: who made them, who made them void, and who read by them, is recorded."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from adapters.common import recording
from adapters.web.proxy import Proxies
from codeact_bot.types import Author, Deed, File, Incoming, ThreadId
from tests.web.staff import OWNER, Place, csrf, served

THREAD = ThreadId("web:1")
EVE = Author(id="eve", name="Eve")


async def shared(place: Place, client: httpx.AsyncClient) -> str:
    """A conversation of somebody else's that the owner shares; returns the path of its link."""
    await place.core.accept(Incoming(id="1", thread=THREAD, author=EVE, text="Whose?", files=(File.of("a.csv", b"1"),)))
    await place.core.answer()
    page = await client.get(place.links[0])
    client.headers["x-csrf-token"] = csrf(page.text)
    said = await client.post("/t/web%3A1/share", data={"days": "7"})
    return "/s/" + said.text.partition("/s/")[2][:32]


async def test_a_link_that_is_made_and_made_void_is_recorded_with_the_same_name() -> None:
    async with served() as place, place.client() as client:
        path = await shared(place, client)
        (share,) = await place.core.desk.shares(THREAD)
        for _ in range(2):
            await client.post("/t/web%3A1/unshare", data={"value": share.id})
        assert (await client.get(path)).status_code == 404
        entries = [record.entry for record in await place.records(Deed.SHARED)]
    assert [(each.status, each.subject, each.author, each.thread) for each in entries] == [
        ("revoked", share.name, OWNER, THREAD),
        ("made", share.name, OWNER, THREAD),
    ]
    assert entries[1].text == "for 7 days"
    assert path.removeprefix("/s/") not in repr(entries)


async def test_who_reads_by_a_link_is_recorded_once_in_ten_minutes_by_their_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(proxies=Proxies.of(["127.0.0.1"])) as place, place.client() as client:
        path = await shared(place, client)
        (share,) = await place.core.desk.shares(THREAD)
        (turn,) = await place.core.desk.turns(THREAD)
        monkeypatch.setattr(recording, "now", lambda: share.made)
        async with place.client() as stranger:
            for address in ("203.0.113.9", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
                for page in ("", "", "/export/md", f"/{turn.id}/file/{turn.incoming.files[0].digest}"):
                    assert (await stranger.get(path + page, headers={"x-forwarded-for": address})).status_code == 200
        looks = [record.entry for record in await place.records(Deed.VIEWED) if record.entry.author is None][::-1]
        assert [(each.author, each.thread, each.subject, each.text) for each in looks] == [
            (None, THREAD, share.name, f"from {address}") for address in ("203.0.113.9", "2001:db8::1", "2001:db8:0:1::1")
        ]
        monkeypatch.setattr(recording, "now", lambda: share.made + timedelta(minutes=10))
        async with place.client() as stranger:
            await stranger.get(path, headers={"x-forwarded-for": "203.0.113.9"})
        assert [record.entry.text for record in await place.records(Deed.VIEWED)][:1] == ["from 203.0.113.9"], "later it is another look"


async def test_somebody_who_is_signed_in_is_named_and_who_takes_part_reads_their_own() -> None:
    async with served() as place, place.client() as client:
        path = await shared(place, client)
        await client.get(path)
        assert [record.entry.author for record in await place.records(Deed.VIEWED)][:1] == [OWNER]
        count = len(await place.records(Deed.VIEWED))
        await place.core.store.permit(THREAD, OWNER.id)
        await client.get(f"{path}/export/md")
        assert len(await place.records(Deed.VIEWED)) == count
