"""What buttons and the shortcut do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from adapters.common.access import REFUSED_ASK, REFUSED_STEER, may_ask, may_steer
from adapters.common.approvals import ANSWERED, VOID, approving, refusal
from adapters.common.counter import Counter
from adapters.common.neutral import slack_text
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.rebuilds import ASKED, rebuilding
from adapters.common.reply import Refused
from adapters.slack.caller import NOT_HERE, Caller
from adapters.slack.forks import fork
from adapters.slack.heard import Heard
from adapters.slack.hearing import Ear, edited
from adapters.slack.markdown import blocks
from adapters.slack.pages import code_view
from adapters.slack.people import plain
from adapters.slack.places import Spot, Way, place_of
from adapters.slack.wire import Wire
from codeact_bot.errors import CodeactError, TurnNotFound
from codeact_bot.types import Access, Author, Incoming, Turn

log = logging.getLogger(__name__)

GONE = "I do not know this answer any more. Ask again, please."


class Hand:
    """Does what people ask for otherwise than by a message; each method returns a private sentence, or nothing."""

    def __init__(self, ear: Ear) -> None:
        """Hand questions in through the ear."""
        self._ear = ear
        self._wire: Wire = ear.wire
        self._counter: Counter = ear.counter
        self._access: Access = ear.access

    async def attend(self, caller: Caller, work: Callable[[], Awaitable[str]]) -> None:
        """Do the work, where the person may use the bot, and tell them its sentence."""
        try:
            text = await work() if may_ask(self._access, caller.who) else REFUSED_ASK
        except CodeactError as error:
            text = str(error)
        except (PlatformDown, Refused, TryLater) as error:
            log.error("Slack did not let a command or button work: %s", error)
            text = f"Slack did not let me do that ({error}). Try again in a minute."
        if text in (REFUSED_ASK, REFUSED_STEER):
            await self._counter.refused(text, caller.author, place_of(caller.team, caller.channel, caller.thread))
        if text:
            await self._wire.whisper(caller.channel, caller.user, caller.thread, slack_text(text)[:3000], blocks(text))

    async def _turn(self, caller: Caller, turn_id: str, *, steer: bool) -> Turn | str:
        """Look a button's turn up; a sentence where there is none, or where the person may not."""
        try:
            turn = await self._counter.desk.turn(turn_id)
        except TurnNotFound:
            return GONE
        if steer and not await self._may_steer(caller, turn.incoming):
            return REFUSED_STEER
        return turn

    async def _may_steer(self, caller: Caller, asked: Incoming) -> bool:
        return may_steer(self._access, caller.who, asked.asker, await self._counter.permitted(asked.thread))

    async def stop(self, caller: Caller, turn_id: str) -> str:
        """Stop a running turn."""
        turn = await self._turn(caller, turn_id, steer=True)
        if isinstance(turn, str):
            return turn
        if turn.outcome is not None:
            return "This answer has ended already."
        await self._counter.stop(turn.incoming.thread, caller.author)
        return ""

    async def retry(self, caller: Caller, turn_id: str) -> str:
        """Ask a question again, in the conversation that goes on here."""
        turn = await self._turn(caller, turn_id, steer=True)
        if isinstance(turn, str):
            return turn
        spot = Spot(way=Way.HERE, channel=caller.channel, thread=caller.thread)
        thread = await self._counter.conversation(place_of(caller.team, caller.channel, caller.thread)) or turn.incoming.thread
        await self._ear.accept(replace(turn.incoming, id=f"retry:{caller.trigger}", thread=thread, place=str(spot), fire=None, via=""))
        return ""

    async def rebuild(self, caller: Caller, turn_id: str) -> str:
        """Have the recorded code of the conversation that goes on here run again."""
        turn = await self._turn(caller, turn_id, steer=True)
        if isinstance(turn, str):
            return turn
        spot = Spot(way=Way.HERE, channel=caller.channel, thread=caller.thread)
        thread = await self._counter.conversation(place_of(caller.team, caller.channel, caller.thread)) or turn.incoming.thread
        author = Author(id=caller.user, name=await self._wire.name(caller.user))
        return "" if await self._ear.accept(rebuilding(turn, thread, author, str(spot))) else ASKED

    async def approve(self, caller: Caller, subject: str) -> str:
        """Let the code run that a turn waits to run: `TURN/SHA-256`."""
        return await self._decide(caller, subject, yes=True)

    async def decline(self, caller: Caller, subject: str) -> str:
        """Do not let it run."""
        return await self._decide(caller, subject, yes=False)

    async def _decide(self, caller: Caller, subject: str, *, yes: bool) -> str:
        turn_id, _, digest = subject.partition("/")
        turn = await self._turn(caller, turn_id, steer=True)
        if isinstance(turn, str):
            return turn
        here = await self._counter.conversation(place_of(caller.team, caller.channel, caller.thread))
        why = VOID if here not in (None, turn.incoming.thread) else await refusal(self._counter.desk, turn, digest)
        if why:
            return why
        place = str(Spot(way=Way.HERE, channel=caller.channel, thread=caller.thread))
        author = Author(id=caller.user, name=await self._wire.name(caller.user))
        return "" if await self._ear.accept(approving(turn, yes=yes, author=author, place=place)) else ANSWERED

    async def code(self, caller: Caller, turn_id: str) -> str:
        """Show what ran, in a modal."""
        turn = await self._turn(caller, turn_id, steer=False)
        if isinstance(turn, str):
            return turn
        await self._wire.show(caller.trigger, code_view(turn))
        return ""

    async def notebook(self, caller: Caller, turn_id: str) -> str:
        """Post the conversation as a notebook below it."""
        turn = await self._turn(caller, turn_id, steer=False)
        if isinstance(turn, str):
            return turn
        await self._wire.upload(caller.channel, caller.thread, [await self._counter.export(turn.incoming.thread, "ipynb", caller.author)])
        return ""

    async def fork(self, caller: Caller, turn_id: str) -> str:
        """Go on from an answer in a thread of its own."""
        turn = await self._turn(caller, turn_id, steer=False)
        return turn if isinstance(turn, str) else await fork(self._wire, self._counter, turn, caller)

    async def edited(self, caller: Caller, subject: str) -> str:
        """Ask an edited question."""
        channel, thread, ts = subject.split("/")
        heard = Heard(team=caller.team, channel=channel, ts=ts, thread=thread, user=caller.user, text="", direct=channel.startswith("D"))
        found = await self._ear.find(heard)
        message = await self._wire.message(channel, thread, ts)
        if found is None or message is None:
            return GONE
        if not await self._may_steer(caller, found[1].incoming):
            return REFUSED_STEER
        text = await plain(str(message.get("text", "")), self._ear.bot, self._wire)
        stamp = (message.get("edited") or {}).get("ts") or caller.trigger
        await self._ear.accept(edited(found[1].incoming, text, {"ts": stamp}))
        return ""

    async def shortcut(self, caller: Caller, message: dict[str, Any]) -> str:
        """Take a message that someone wrote as a question of the person who pointed at it."""
        if not await self._wire.reaches(caller.channel):
            return NOT_HERE
        heard = Heard.of({**message, "channel": caller.channel}, caller.team)
        text = await plain(heard.text, self._ear.bot, self._wire)
        if not text and not heard.files:
            return "This message has neither text nor files that I could work with."
        await self._ear.ask(heard, caller.user, text, f"shortcut:{caller.trigger}")
        return "I am on it."
