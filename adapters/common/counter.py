"""Looking up conversations and questions, and handing questions in."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from weakref import WeakValueDictionary

from adapters.common.commands import rewound, went_back
from adapters.common.forks import GONE, RUNNING, SECONDS, TWICE, after_which
from adapters.common.patience import patient
from adapters.common.recording import record
from adapters.common.told import Told
from codeact_bot.errors import ThreadNotFound
from codeact_bot.ports import Desk, Inbox
from codeact_bot.types import Author, Deed, File, Fork, Incoming, ThreadId, Turn

WAITED = 3.0
"""Seconds between a question and its turn that tell that it was queued."""
LAST = 50
"""Ended turns among which an edited or deleted question is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that the core knows."""

    incoming: Incoming
    place: int = -1
    """Its place in the queue, 0 for the one being answered; -1 where it has been answered."""


class Counter:
    """Where questions are handed in, one after another per place."""

    def __init__(self, inbox: Inbox, desk: Desk) -> None:
        """Hand in to an inbox, look up at a desk."""
        self.inbox = inbox
        self.desk = desk
        self._orders: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._told = Told()

    def order(self, place: str) -> asyncio.Lock:
        """Return the lock that keeps a place's messages in their order."""
        lock = self._orders.get(place)
        if lock is None:
            lock = self._orders[place] = asyncio.Lock()
        return lock

    async def conversation(self, place: str) -> ThreadId | None:
        """The conversation that goes on at a place, waiting for the database where that is away."""
        return await patient(lambda: self.desk.conversation(place))

    async def begin(self, place: str) -> ThreadId:
        """The conversation that goes on at a place; it begins now where there was none."""
        known = await self.conversation(place)
        if known is not None:
            return known
        thread = ThreadId(place)
        await patient(lambda: self.desk.move(place, thread))
        return thread

    async def renew(self, place: str) -> None:
        """Let a new conversation begin at a place."""
        await self.desk.move(place, ThreadId(f"{place}#{secrets.token_hex(4)}"))

    async def stop(self, thread: ThreadId, author: Author) -> None:
        """Stop what runs in a conversation, as somebody wants it."""
        await self.inbox.stop(thread)
        await record(self.desk, Deed.STOPPED, author, thread=thread)

    async def export(self, thread: ThreadId, kind: str, author: Author) -> File:
        """Write a conversation for somebody. Raises ThreadNotFound."""
        file = await self.desk.export(thread, kind)
        await record(self.desk, Deed.EXPORTED, author, thread=thread, subject=kind)
        return file

    async def permit(self, thread: ThreadId, person: str, author: Author) -> None:
        """Let a person stop and retry questions of a conversation, as somebody wants it. Raises ThreadNotFound."""
        await self.desk.permit(thread, person)
        await record(self.desk, Deed.PERMITTED, author, thread=thread, subject=person)

    async def refused(self, sentence: str, author: Author, place: str) -> None:
        """Record what somebody was told that they may not do, and where."""
        await record(self.desk, Deed.REFUSED, author, subject=place, text=sentence)

    async def rewind(self, place: str, thread: ThreadId, argument: str, author: Author) -> str:
        """Let the conversation go on from before its last questions; returns the sentence for the person."""
        left = rewound(argument, (await self.desk.thread(thread)).turns)
        if isinstance(left, str):
            return left
        fork = await self.desk.fork(thread, left)
        await self.desk.move(place, fork.thread)
        await record(self.desk, Deed.FORKED, author, thread=thread, subject=fork.thread)
        return went_back(fork)

    async def fork(self, turn: Turn, author: Author) -> Fork | str:
        """Begin a conversation with the history and state right after a turn; a sentence where that cannot be, or where they just did."""
        if turn.outcome is None:
            return RUNNING
        ended = [each.id for each in await self.desk.turns(turn.incoming.thread)]
        if turn.id not in ended:
            return GONE
        if not self._told.first(f"{author.id} {turn.id}", SECONDS):
            return TWICE
        fork = await self.desk.fork(turn.incoming.thread, ended.index(turn.id) + 1)
        await record(self.desk, Deed.FORKED, author, thread=turn.incoming.thread, turn=turn.id, subject=fork.thread)
        return fork

    async def numbered(self, thread: ThreadId, argument: str) -> Turn | str:
        """The turn that `/codeact fork ARGUMENT` means; a sentence where there is none."""
        turns = await self.desk.turns(thread)
        number = after_which(argument, len(turns))
        return number if isinstance(number, str) else turns[number - 1]

    async def waits(self, incoming: Incoming) -> bool:
        """Whether another question is answered before this one."""
        waiting = await self.desk.pending(incoming.thread)
        return incoming.id in [other.id for other in waiting[1:]]

    async def running(self, thread: ThreadId) -> Incoming | None:
        """The question that is being answered, or is next."""
        waiting = await self.desk.pending(thread)
        return waiting[0] if waiting else None

    async def first(self, thread: ThreadId) -> Incoming | None:
        """The first question of a conversation; None where it has none yet."""
        turns = await self.desk.turns(thread)
        return turns[0].incoming if turns else await self.running(thread)

    async def last(self, thread: ThreadId) -> Incoming | None:
        """The question that is being answered, else the last one that was."""
        turns = await self.desk.turns(thread, last=1)
        return await self.running(thread) or (turns[-1].incoming if turns else None)

    async def asking(self, thread: ThreadId) -> Turn | None:
        """The last turn that ended in a conversation, where it asks whether its code may run."""
        turns = await self.desk.turns(thread, last=1)
        return turns[-1] if turns and turns[-1].outcome and turns[-1].outcome.proposal else None

    async def question(self, thread: ThreadId, message: str) -> Question | None:
        """The last question that was asked by a message; None where it asked nothing."""
        for index, incoming in reversed(list(enumerate(await self.desk.pending(thread)))):
            if asked_by(incoming, message):
                return Question(incoming=incoming, place=index)
        ended = await self.desk.turns(thread, last=LAST)
        return next((Question(incoming=turn.incoming) for turn in reversed(ended) if asked_by(turn.incoming, message)), None)

    async def permitted(self, thread: ThreadId) -> tuple[str, ...]:
        """The people who may stop and retry other people's questions."""
        try:
            return (await self.desk.thread(thread)).permitted
        except ThreadNotFound:
            return ()


def asked_by(incoming: Incoming, message: str) -> bool:
    """Whether a message asked this: its id, or for an edited one its id and `~` and the time of the edit."""
    return incoming.id.partition("~")[0] == message


def waited(turn: Turn) -> bool:
    """Whether a question may have been marked as queued by a worker that is gone."""
    return (turn.started - turn.incoming.at).total_seconds() > WAITED
