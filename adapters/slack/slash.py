"""What `/codeact` does."""

from __future__ import annotations

from adapters.common.commands import KINDS, Command, did_you_mean, help_text, history_text, parse, stopping
from adapters.common.counter import Counter
from adapters.slack.caller import NOT_HERE, Caller
from adapters.slack.forks import fork
from adapters.slack.hearing import Ear
from adapters.slack.orders import order
from adapters.slack.people import plain
from adapters.slack.places import Reference, Spot, Way, place_of
from adapters.slack.settling import left
from adapters.slack.wire import Wire
from codeact_bot.types import Author, Incoming, Query, ThreadId, Turn

FOUND = 10
"""Questions of the past that a search lists."""
NO_CONVERSATION = "I found no conversation with you in this channel. Mention me with a question, or use `/codeact ask`."


class Commands:
    """Does what people ask for by `/codeact`; returns a private sentence, or nothing."""

    def __init__(self, ear: Ear) -> None:
        """Hand questions in through the ear."""
        self._ear = ear
        self._wire: Wire = ear.wire
        self._counter: Counter = ear.counter

    async def do(self, caller: Caller, text: str) -> str:
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
        return turn if isinstance(turn, str) else await fork(self._wire, self._counter, turn, caller)

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
