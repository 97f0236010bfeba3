"""What the buttons do."""

from __future__ import annotations

from dataclasses import replace

import discord

from adapters.common.access import REFUSED_ASK, REFUSED_STEER, Visitor, may_ask, may_steer
from adapters.common.approvals import ANSWERED, VOID, approving, refusal
from adapters.common.counter import Counter
from adapters.common.rebuilds import ASKED, rebuilding, warning
from adapters.discord.buttons import Deed, Press, for_warned
from adapters.discord.forks import fork
from adapters.discord.hearing import Ear
from adapters.discord.interactions import ask, attend, tell
from adapters.discord.pages import code_pages
from adapters.discord.people import author, visitor
from adapters.discord.places import Spot, Way, place_of
from adapters.discord.wire import Wire
from codeact_bot.errors import TurnNotFound
from codeact_bot.types import Access, File, Incoming, ThreadId, Turn

STEERING = (Deed.STOP, Deed.RETRY, Deed.REBUILD, Deed.AGAIN, Deed.APPROVE, Deed.DECLINE)
"""What is for those who may stop and retry the question."""
PAGES = 3
"""Messages of code that are shown at most; more of it comes as a file."""
GONE = "I do not know this answer any more. Ask again, please."


class Hand:
    """Does what pressed buttons ask for."""

    def __init__(self, client: discord.Client, wire: Wire, counter: Counter, ear: Ear, access: Access) -> None:
        """Work on what the counter knows; re-runs are handed in through the ear."""
        self._client = client
        self._wire = wire
        self._counter = counter
        self._ear = ear
        self._access = access

    async def pressed(self, interaction: discord.Interaction) -> None:
        """Answer a press of one of our buttons."""
        press = Press.parse(str(dict(interaction.data or {}).get("custom_id", "")))
        if press is not None:
            await attend(interaction, self._do(interaction, press), self._counter)

    async def _do(self, interaction: discord.Interaction, press: Press) -> str:
        who = visitor(interaction.user, interaction.guild_id, interaction.channel)
        if press.deed is Deed.EDITED:
            return await self._run_edited(interaction, press.subject, who)
        try:
            turn = await self._counter.desk.turn(press.subject.partition("/")[0])
        except TurnNotFound:
            return GONE
        if press.deed in STEERING and not await self._may_steer(who, turn.incoming):
            return REFUSED_STEER
        if not may_ask(self._access, who):
            return REFUSED_ASK
        if press.deed is Deed.STOP:
            return await self._stop(interaction, turn)
        if press.deed is Deed.RETRY:
            return await self._retry(interaction, turn)
        if press.deed is Deed.REBUILD:
            await ask(interaction, warning(turn), for_warned(turn))
            return ""
        if press.deed is Deed.AGAIN:
            return await self._rebuild(interaction, turn)
        if press.deed in (Deed.APPROVE, Deed.DECLINE):
            return await self._decide(interaction, turn, press)
        if press.deed is Deed.FORK:
            return await fork(self._wire, self._counter, turn, interaction)
        return await (self._show_code(interaction, turn) if press.deed is Deed.CODE else self._notebook(interaction, turn))

    async def _may_steer(self, who: Visitor, asked: Incoming) -> bool:
        return may_steer(self._access, who, asked.asker, await self._counter.permitted(asked.thread))

    async def _stop(self, interaction: discord.Interaction, turn: Turn) -> str:
        if turn.outcome is not None:
            return "This answer has ended already."
        await self._counter.stop(turn.incoming.thread, author(interaction.user))
        return ""

    async def _retry(self, interaction: discord.Interaction, turn: Turn) -> str:
        assert interaction.channel_id is not None
        spot = Spot(way=Way.HERE, channel=interaction.channel_id, message=interaction.id)
        thread = await self._here(interaction, turn.incoming.thread)
        fresh = replace(turn.incoming, id=str(interaction.id), thread=thread, place=str(spot), at=interaction.created_at, fire=None, via="")
        await self._ear.accept(fresh)
        return ""

    async def _rebuild(self, interaction: discord.Interaction, turn: Turn) -> str:
        assert interaction.channel_id is not None
        spot = Spot(way=Way.HERE, channel=interaction.channel_id, message=interaction.id)
        thread = await self._here(interaction, turn.incoming.thread)
        return "" if await self._ear.accept(rebuilding(turn, thread, author(interaction.user), str(spot))) else ASKED

    async def _decide(self, interaction: discord.Interaction, turn: Turn, press: Press) -> str:
        assert interaction.channel_id is not None
        here = await self._here(interaction, turn.incoming.thread)
        why = VOID if here != turn.incoming.thread else await refusal(self._counter.desk, turn, press.subject.partition("/")[2])
        if why:
            return why
        place = str(Spot(way=Way.HERE, channel=interaction.channel_id, message=interaction.id))
        said = approving(turn, yes=press.deed is Deed.APPROVE, author=author(interaction.user), place=place)
        return "" if await self._ear.accept(said) else ANSWERED

    async def _here(self, interaction: discord.Interaction, fallback: ThreadId) -> ThreadId:
        assert interaction.channel_id is not None
        return await self._counter.conversation(place_of(interaction.guild_id, interaction.channel_id)) or fallback

    async def _show_code(self, interaction: discord.Interaction, turn: Turn) -> str:
        pages = code_pages(turn)
        if not pages:
            return "No code ran for this answer."
        if len(pages) <= PAGES:
            return "\n".join(pages)
        await tell(interaction, "The code and its output, as a file:", [File.of("steps.md", "\n".join(pages).encode())])
        return ""

    async def _notebook(self, interaction: discord.Interaction, turn: Turn) -> str:
        file = await self._counter.export(turn.incoming.thread, "ipynb", author(interaction.user))
        await tell(interaction, "The conversation as a Jupyter notebook:", [file])
        return ""

    async def _run_edited(self, interaction: discord.Interaction, subject: str, who: Visitor) -> str:
        channel, message = (int(part) for part in subject.split("/"))
        asked = await self._question(interaction, channel, message)
        if asked is None:
            return GONE
        if not await self._may_steer(who, asked):
            return REFUSED_STEER
        edited = await self._client.get_partial_messageable(channel, guild_id=interaction.guild_id).fetch_message(message)
        stamp = int(edited.edited_at.timestamp()) if edited.edited_at else interaction.id
        fresh = replace(asked, id=f"{message}~{stamp}", text=self._ear.text_of(edited), at=interaction.created_at)
        await self._ear.accept(fresh)
        self._ear.forget_edit(message)
        if interaction.message is not None:
            await self._wire.delete(interaction.message.channel.id, interaction.message.id)
        return ""

    async def _question(self, interaction: discord.Interaction, channel: int, message: int) -> Incoming | None:
        found = await self._ear.find(interaction.guild_id, channel, message)
        return found[1].incoming if found else None
