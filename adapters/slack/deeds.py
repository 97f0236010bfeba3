"""What buttons, /codeact and the shortcut do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from adapters.common.access import REFUSED_ASK, REFUSED_STEER, Visitor, may_ask, may_steer
from adapters.common.approvals import ANSWERED, VOID, approving, refusal
from adapters.common.commands import KINDS, Command, did_you_mean, help_text, history_text, parse, stopping
from adapters.common.counter import Counter
from adapters.common.neutral import slack_text
from adapters.common.pace import PlatformDown, TryLater
from adapters.common.rebuilds import ASKED, rebuilding
from adapters.common.reply import Refused
from adapters.slack.forks import fork
from adapters.slack.hearing import Ear, Heard, edited
from adapters.slack.markdown import blocks
from adapters.slack.orders import order
from adapters.slack.pages import code_view
from adapters.slack.people import plain, visitor
from adapters.slack.places import Reference, Spot, Way, place_of
from adapters.slack.settling import left
from adapters.slack.wire import Wire
from codeact_bot.errors import CodeactError, TurnNotFound
from codeact_bot.types import Access, Author, Incoming, Query, ThreadId, Turn

log = logging.getLogger(__name__)

FOUND = 10
"""Questions of the past that a search lists."""
GONE = "I do not know this answer any more. Ask again, please."
NO_CONVERSATION = "I found no conversation with you in this channel. Mention me with a question, or use `/codeact ask`."
NOT_HERE = "I am not in this channel, so I could not post the answer. Invite me with `/invite`, or write to me directly."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who pressed or typed, and where."""

    user: str
    team: str
    channel: str
    thread: str
    trigger: str
    """Names this press or command; opens a modal within three seconds."""

    @property
    def who(self) -> Visitor:
        """The person as the access lists see them."""
        return visitor(self.user, self.team, self.channel)

    @property
    def author(self) -> Author:
        """The person as the audit knows them."""
        return Author(id=self.user, name=self.user)

    @property
    def prefix(self) -> str:
        """The beginning of the names of the channel's conversations, and of no other channel's; a direct message is a conversation itself."""
        place = place_of(self.team, self.channel)
        return place if self.channel.startswith("D") else f"{place}:"


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
        return turn if isinstance(turn, str) else await self._forked(caller, turn)

    async def _forked(self, caller: Caller, turn: Turn) -> str:
        return await fork(self._wire, self._counter, turn, user=caller.user, team=caller.team, channel=caller.channel)

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

    async def command(self, caller: Caller, text: str) -> str:
        """Do what `/codeact` was given."""
        command = parse(text)
        match command.name:
            case "":
                return did_you_mean(command)
            case "help":
                return help_text("mention me")
            case "ask":
                return await self._ask(caller, command.argument)
            case "stop":
                return await self._stop_last(caller)
            case "history":
                found = await self._counter.desk.find(Query(prefix=caller.prefix, text=command.argument, limit=FOUND))
                return history_text(found, lambda part: part)
            case "export":
                return await self._export(caller, command.argument or "md")
            case "new":
                return await self._new(caller)
            case "rewind":
                return await self._rewind(caller, command.argument)
            case "schedule":
                return await self._schedule(caller, command.argument)
            case "fork":
                return await self._fork_last(caller, command.argument)
        return await self._allow(caller, command)

    async def _ask(self, caller: Caller, text: str) -> str:
        if not text:
            return "What do you want to know? Write it after `/codeact ask`."
        if not await self._wire.reaches(caller.channel):
            return NOT_HERE
        direct = caller.channel.startswith("D")
        place = place_of(caller.team, caller.channel)
        thread = await self._counter.begin(place) if direct else ThreadId(f"{place}:q{caller.trigger}")
        incoming = Incoming(
            id=f"command:{caller.trigger}",
            thread=thread,
            author=Author(id=caller.user, name=await self._wire.name(caller.user)),
            text=await plain(text, self._ear.bot, self._wire),
            place=str(Spot(way=Way.SAY if direct else Way.ASK, channel=caller.channel)),
        )
        await self._ear.accept(incoming)
        return ""

    async def _last(self, caller: Caller, *, running: bool = False) -> Turn | None:
        """Return the person's last turn in this channel: Slack does not say in which thread a command was typed."""
        turns = await self._counter.desk.find(Query(prefix=caller.prefix, person=caller.user, limit=FOUND))
        return next((turn for turn in turns if not running or turn.outcome is None), None)

    async def _stop_last(self, caller: Caller) -> str:
        turn = await self._last(caller, running=True)
        if turn is None:
            return "None of your questions in this channel is being answered. To stop somebody else's, press Stop below it."
        await self._counter.stop(turn.incoming.thread, caller.author)
        return stopping(turn.incoming)

    async def _export(self, caller: Caller, kind: str) -> str:
        if kind not in KINDS:
            return f"I can export {', '.join(KINDS)}: `/codeact export ipynb`."
        turn = await self._last(caller)
        if turn is None:
            return NO_CONVERSATION
        where = await self._wire.direct(caller.user)
        await self._wire.upload(where, "", [await self._counter.export(turn.incoming.thread, kind, caller.author)])
        return "I have sent you your last conversation of this channel in a direct message."

    async def _new(self, caller: Caller) -> str:
        if not caller.channel.startswith("D"):
            return "In a channel, every question outside of a thread begins a new conversation; `/codeact new` is for direct messages."
        place = place_of(caller.team, caller.channel)
        before = await self._counter.conversation(place)
        await self._counter.renew(place)
        await left(self._wire, self._counter, place, before)
        return "The next message begins a new conversation: I have forgotten the variables, files and messages of the one before."

    async def _rewind(self, caller: Caller, argument: str) -> str:
        turn = await self._last(caller)
        if turn is None:
            return NO_CONVERSATION
        where = Reference.parse(turn.reply)
        place = place_of(caller.team, caller.channel, where.thread if where else Spot.parse(turn.incoming.place).thread)
        said = await self._counter.rewind(place, turn.incoming.thread, argument, caller.author)
        await left(self._wire, self._counter, place, turn.incoming.thread)
        return said

    async def _schedule(self, caller: Caller, text: str) -> str:
        if not await self._wire.reaches(caller.channel):
            return NOT_HERE
        direct = caller.channel.startswith("D")
        given = await order(
            self._wire, name=f"command:{caller.trigger}", user=caller.user, team=caller.team, channel=caller.channel, thread="", direct=direct
        )
        return await self._ear.schedules.do(await plain(text, self._ear.bot, self._wire), given, caller.who)

    async def _fork_last(self, caller: Caller, argument: str) -> str:
        last = await self._last(caller)
        if last is None:
            return NO_CONVERSATION
        turn = await self._counter.numbered(last.incoming.thread, argument)
        return turn if isinstance(turn, str) else await self._forked(caller, turn)

    async def _allow(self, caller: Caller, command: Command) -> str:
        found = command.argument.strip()
        person = found[2:].partition("|")[0].rstrip(">") if found.startswith("<@") else ""
        turn = await self._last(caller)
        if not person:
            return "Whom? Mention them: `/codeact allow @person`."
        if turn is None:
            return NO_CONVERSATION
        await self._counter.permit(turn.incoming.thread, person, caller.author)
        return f"{await self._wire.name(person)} may now stop and retry questions in your last conversation of this channel."
