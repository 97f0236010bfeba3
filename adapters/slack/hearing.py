"""Messages, their edits and their deletion, as questions for the core."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import Any

from adapters.common.access import REFUSED_ASK, REFUSED_STEER, may_ask, may_steer
from adapters.common.approvals import ANSWERED, EARLY, approving, meant, verdict
from adapters.common.commands import help_text, is_stop
from adapters.common.counter import Counter, Question, waited
from adapters.common.patience import patient
from adapters.common.schedules import Schedules, wish
from adapters.common.told import Told
from adapters.slack.heard import Heard
from adapters.slack.markdown import blocks
from adapters.slack.orders import order
from adapters.slack.pages import Post, actions, button, note
from adapters.slack.people import plain, visitor
from adapters.slack.places import Reference, Spot, message_id, time_of
from adapters.slack.uploads import download
from adapters.slack.wire import Wire
from codeact_bot.errors import ScheduleNotFound, ScheduleRefused
from codeact_bot.types import Access, Author, Incoming, ThreadId, Turn

log = logging.getLogger(__name__)

QUEUED = "hourglass_flowing_sand"
SOON = 1.0
"""Seconds that a question may wait without a mark, which would only come and go."""
STOPPED = "octagonal_sign"
SPOKEN = {None, "file_share", "thread_broadcast"}
"""Kinds of messages that people write."""
TOMBSTONE = "tombstone"
"""What Slack leaves of a deleted message that has a thread: a change of it, not a deletion."""


class Ear:
    """Takes in what people write."""

    def __init__(self, wire: Wire, counter: Counter, access: Access, bot: str) -> None:
        """Hear for a counter, as the bot's user."""
        self.wire = wire
        self.counter = counter
        self.access = access
        self.bot = bot
        self.schedules = Schedules(counter, access, lambda text: text)
        self._busy: dict[str, asyncio.Task[Incoming | None]] = {}
        self._told = Told()
        self._leaving = asyncio.Event()
        self.queued: set[str] = set()

    async def hear(self, event: dict[str, Any], team: str) -> Incoming | None:
        """Take in a message; on return it is kept, or it is not for the bot. A redelivery meanwhile waits for the first.

        Returns the question where it was new; `mark` then shows whether it has to wait.
        """
        match event.get("subtype"):
            case "message_changed" if (event.get("message") or {}).get("subtype") == TOMBSTONE:
                await self._deleted(event, str(event["message"]["ts"]), team)
            case "message_changed":
                return await self._edited(event, team)
            case "message_deleted":
                await self._deleted(event, str(event.get("deleted_ts") or event["ts"]), team)
            case kind if kind in SPOKEN and not event.get("bot_id") and event.get("user") not in (None, self.bot):
                heard = Heard.of(event, team)
                return await self._once(message_id(heard.channel, heard.ts), heard)
        return None

    async def _once(self, name: str, heard: Heard) -> Incoming | None:
        task = self._busy.get(name)
        if task is None:
            task = self._busy[name] = asyncio.create_task(self._hear(heard), name=f"hear {name}")
            task.add_done_callback(lambda _: self._busy.pop(name, None))
            return await asyncio.shield(task)
        await asyncio.shield(task)
        return None

    def leave(self) -> None:
        """Mark no more questions: the bot stops."""
        self._leaving.set()

    async def aclose(self) -> None:
        """Give up what is being taken in; Slack sends it again."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, heard: Heard) -> Incoming | None:
        called = heard.direct or f"<@{self.bot}" in heard.text
        async with self.counter.order(heard.place):
            if not called and not (heard.thread and await self.counter.conversation(heard.place)):
                return None
            if may_ask(self.access, visitor(heard.user, heard.team, heard.channel)):
                return await self._take(heard)
            await self.refuse(heard, REFUSED_ASK)
            return None

    async def _take(self, heard: Heard) -> Incoming | None:
        text = await plain(heard.text, self.bot, self.wire)
        wanted = wish(text)
        if is_stop(text):
            await self._stop(heard)
        elif wanted is not None:
            await self._schedule(heard, wanted)
        elif not heard.files and (yes := verdict(text)) is not None and (asked := await self._asked(heard)) is not None:
            return await self._decide(heard, asked, yes=yes)
        elif text or heard.files:
            return await self.ask(heard, heard.user, text, message_id(heard.channel, heard.ts))
        else:
            await self.wire.say(heard.channel, heard.spot.thread, self.help())
        return None

    async def _asked(self, heard: Heard) -> Turn | str | None:
        """The turn that waits for a yes or no here; a sentence, or None, as `meant` has it. It has to be written below the turn's post."""
        thread = await self.counter.conversation(heard.place)
        found = await patient(lambda: meant(self.counter.desk, thread, str(heard.spot))) if thread else None
        post = Reference.parse(found.reply) if isinstance(found, Turn) else None
        return EARLY if post and float(heard.ts) < float(post.message) else found

    async def _decide(self, heard: Heard, asked: Turn | str, *, yes: bool) -> Incoming | None:
        """Take a yes or no in."""
        if isinstance(asked, str):
            if asked:
                await self.wire.whisper(heard.channel, heard.user, heard.thread, asked)
            return None
        incoming, who = asked.incoming, visitor(heard.user, heard.team, heard.channel)
        if not may_steer(self.access, who, incoming.asker, await self.counter.permitted(incoming.thread)):
            await self.refuse(heard, REFUSED_STEER)
            return None
        author = Author(id=heard.user, name=await self.wire.name(heard.user))
        said = approving(asked, yes=yes, author=author, place=str(heard.spot))
        if await self.accept(said):
            return said
        await self.wire.whisper(heard.channel, heard.user, heard.thread, ANSWERED)
        return None

    async def _schedule(self, heard: Heard, wanted: str) -> None:
        who = visitor(heard.user, heard.team, heard.channel)
        name = message_id(heard.channel, heard.ts)
        given = await order(self.wire, name=name, user=heard.user, team=heard.team, channel=heard.channel, thread=heard.thread, direct=heard.direct)
        try:
            said = await self.schedules.do(wanted, given, who)
        except (ScheduleNotFound, ScheduleRefused) as error:
            said = str(error)
        await self.wire.say(heard.channel, heard.spot.thread, Post(blocks=tuple(blocks(said)), text="About schedules"))

    async def ask(self, heard: Heard, asker: str, text: str, name: str) -> Incoming | None:
        """Hand a message in as a question of somebody; sentences on files that were refused go below it."""
        files, refused = await download(self.wire, heard.files)
        incoming = Incoming(
            id=name,
            thread=await self.counter.begin(heard.place),
            author=Author(id=asker, name=await self.wire.name(asker)),
            text=text,
            files=files,
            place=str(heard.spot),
            at=time_of(heard.ts),
        )
        fresh = await self.accept(incoming)
        if fresh and refused:
            await self.wire.say(heard.channel, heard.spot.thread, Post(blocks=tuple(blocks("\n\n".join(refused))), text="I could not take a file."))
        return incoming if fresh else None

    async def accept(self, incoming: Incoming) -> bool:
        """Hand a question in; False when it is a redelivery."""
        return await self.counter.inbox.accept(incoming)

    async def mark(self, incoming: Incoming) -> None:
        """Mark the message of a question that has to wait for others, and so long that people would wonder."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOON):
                await self._leaving.wait()
        if not self._leaving.is_set() and await self.counter.waits(incoming):
            self.queued.add(incoming.id)
            spot = Spot.parse(incoming.place)
            await self.wire.mark(spot.channel, spot.message, QUEUED)

    async def unmark(self, turn: Turn) -> None:
        """Take the mark of a queued question away, now that its turn begins."""
        spot = Spot.parse(turn.incoming.place)
        if spot.message and not turn.incoming.via and (turn.incoming.id in self.queued or waited(turn)):
            self.queued.discard(turn.incoming.id)
            await self.wire.unmark(spot.channel, spot.message, QUEUED)

    async def find(self, heard: Heard) -> tuple[ThreadId, Question] | None:
        """Find the question that a message asked, with its conversation."""
        thread = await self.counter.conversation(heard.place)
        question = await self.counter.question(thread, message_id(heard.channel, heard.ts)) if thread else None
        return (thread, question) if thread is not None and question is not None else None

    async def _edited(self, event: dict[str, Any], team: str) -> Incoming | None:
        """Offer a re-run for an edited question; one that still waits is exchanged, and the one with the new text is returned."""
        message, before = event.get("message") or {}, event.get("previous_message") or {}
        if message.get("bot_id") or message.get("text") == before.get("text"):
            return None
        heard = Heard.of({**message, "channel": event["channel"]}, team)
        found = await self.find(heard)
        text = await plain(heard.text, self.bot, self.wire)
        if found is None or not text or text == found[1].incoming.text:
            return None
        thread, question = found
        if question.place > 0 and await self.counter.inbox.withdraw(thread, question.incoming.id):
            fresh = edited(question.incoming, text, event)
            await self.accept(fresh)
            return fresh
        offer = button("Run the edited question", "edited", f"{heard.channel}/{heard.thread}/{heard.ts}", "primary")
        said = "You edited your question. The answer is for the one before."
        await self.wire.whisper(heard.channel, heard.user, heard.spot.thread, said, [note(said), actions(offer)])
        return None

    async def _deleted(self, event: dict[str, Any], ts: str, team: str) -> None:
        """Give up the question that a deleted message asked."""
        before = {**(event.get("previous_message") or {}), "channel": event["channel"], "ts": ts}
        found = await self.find(Heard.of(before, team))
        if found is not None and found[1].place >= 0:
            await patient(lambda: self.counter.inbox.withdraw(found[0], found[1].incoming.id))

    async def stopped(self, event: dict[str, Any], team: str) -> None:
        """Hear Slack's own stop button."""
        await self._stop(Heard.of({**event, "ts": event["event_ts"]}, team))

    async def _stop(self, heard: Heard) -> None:
        thread = await self.counter.conversation(heard.place)
        running = await self.counter.running(thread) if thread else None
        who = visitor(heard.user, heard.team, heard.channel)
        if thread is None or running is None:
            await self.wire.whisper(heard.channel, heard.user, heard.thread, "Nothing is running here.")
        elif may_steer(self.access, who, running.asker, await self.counter.permitted(thread)):
            await self.counter.stop(thread, Author(id=heard.user, name=heard.user))
            await self.wire.mark(heard.channel, heard.ts, STOPPED)
        else:
            await self.refuse(heard, REFUSED_STEER)

    async def refuse(self, heard: Heard, sentence: str) -> None:
        """Tell a person, once per place, what they may not do."""
        if self._told.first(f"{heard.user} {heard.place} {sentence}"):
            await self.counter.refused(sentence, Author(id=heard.user, name=heard.user), heard.place)
            await self.wire.whisper(heard.channel, heard.user, heard.thread, sentence)

    def help(self) -> Post:
        """Say what the bot can do."""
        return Post(blocks=tuple(blocks(help_text("mention me"))), text="I answer questions by writing and running Python.")


def edited(incoming: Incoming, text: str, event: dict[str, Any]) -> Incoming:
    """Return a question with the text it has after an edit, under a name of its own."""
    stamp = event.get("event_ts") or event.get("ts")
    return replace(incoming, id=f"{incoming.id.partition('~')[0]}~{stamp}", text=text)
