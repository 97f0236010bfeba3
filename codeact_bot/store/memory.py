"""Everything in memory: the store of the Python API, of one-off runs and of users' tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from codeact_bot.errors import FileRefused, LeaseLost, ThreadNotFound, TurnNotFound
from codeact_bot.redaction import Redactor
from codeact_bot.store import records
from codeact_bot.store.remembered import RememberedThread, RememberedTurn
from codeact_bot.store.remembered_retention import RememberedRetaining
from codeact_bot.types import Backlog, File, Glimpse, Incoming, Lease, Outcome, Query, Snapshot, Step, ThreadId, Turn, now, step_mark


class MemoryStore(RememberedRetaining):
    """A Store that forgets everything with its process; it answers as MongoStore does."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        """Make an empty store."""
        super().__init__()
        self.redact = redactor or Redactor()
        self._count = 0
        self._arrived = asyncio.Event()

    def _every(self) -> Iterable[RememberedTurn]:
        return (each for thread in self._threads.values() for each in thread.turns)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _held(self, lease: Lease) -> RememberedThread:
        thread = self._threads.get(lease.thread)
        if thread is None or not thread.held or (thread.token, thread.owner) != (lease.token, lease.owner):
            raise LeaseLost(records.lease_lost(lease))
        return thread

    def _open(self, lease: Lease, turn_id: str) -> tuple[RememberedThread, RememberedTurn]:
        thread = self._held(lease)
        for each in thread.turns:
            if each.turn.id == turn_id and each.turn.outcome is None:
                return thread, each
        raise LeaseLost(records.turn_closed(lease, turn_id))

    async def push(self, incoming: Incoming) -> bool:
        """Keep a message and queue it; False when it is a redelivery. Raises FileRefused for a text beyond 1 MiB."""
        incoming = self.redact.incoming(incoming)
        records.check_message(incoming)
        thread, at = self._threads.get(incoming.thread), now()
        if thread is not None and incoming.id in thread.seen:
            return False
        for file in records.carried(incoming.files):
            await self.save_file(file)
        if thread is None:
            thread = RememberedThread(id=incoming.thread, title=records.title(incoming), created=at, updated=at)
            self._threads[incoming.thread] = thread
        thread.pending.append((self._next(), records.bare_incoming(incoming)))
        thread.seen[incoming.id] = at
        thread.names[incoming.author.name] = None
        thread.people[incoming.author.id] = None
        new = dict.fromkeys(records.listed_words(incoming))
        thread.words = dict.fromkeys(list(thread.words | new)[: records.LISTED_WORDS])
        thread.updated = at
        self._arrived.set()
        return True

    async def claim(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Lease | None:
        """Take the thread that has waited longest, of those that begin with a prefix and that no live lease holds."""
        waiting = [each for each in self._threads.values() if each.pending and not each.held and each.id.startswith(tuple(prefixes))]
        if not waiting:
            return None
        thread = min(waiting, key=lambda each: each.pending[0][0])
        thread.token, thread.owner, thread.since = thread.token + 1, owner, now()
        thread.until = thread.since + timedelta(seconds=seconds)
        return Lease(thread=thread.id, owner=owner, token=thread.token, incoming=thread.pending[0][1], until=thread.until, ran=thread.ran)

    async def arrivals(self) -> AsyncIterator[None]:
        """Yield whenever a message was queued."""
        while True:
            self._arrived.clear()
            await self._arrived.wait()
            yield

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Extend a lease. Raises LeaseLost."""
        thread = self._held(lease)
        thread.until = now() + timedelta(seconds=seconds)
        return replace(lease, until=thread.until)

    async def release(self, lease: Lease) -> None:
        """Give the thread back. Raises LeaseLost."""
        self._held(lease).until = None

    async def pending(self, thread: ThreadId) -> Sequence[Incoming]:
        """Messages that wait in the thread, oldest first, the one being answered included."""
        found = self._threads.get(thread)
        return [incoming for _, incoming in found.pending] if found else []

    async def ask_stop(self, thread: ThreadId) -> None:
        """Ask for the message at the head of the queue to be given up; without one, nothing happens."""
        found = self._threads.get(thread)
        if found and found.pending:
            found.stop = found.pending[0][1].id

    async def stop_asked(self, lease: Lease) -> bool:
        """Whether the lease's message is to be given up. Raises LeaseLost."""
        return self._held(lease).stop == lease.incoming.id

    async def open_turn(self, lease: Lease) -> Turn:
        """Begin the turn of the lease's message, or return the one that a dead worker left open. Raises LeaseLost."""
        thread, name = self._held(lease), records.turn_id(lease.incoming)
        for each in thread.turns:
            if each.turn.id == name:
                each.glimpse = None
                return replace(each.turn, resumed=each.token != lease.token)
        incoming = records.bare_incoming(lease.incoming)
        turn = Turn(id=name, incoming=incoming)
        thread.opened += 1
        thread.turns.append(RememberedTurn(turn=turn, card=records.card(incoming), number=self._next(), token=lease.token))
        return turn

    async def save_reply(self, lease: Lease, turn_id: str, reply: str) -> None:
        """Remember which post shows the turn. Raises LeaseLost."""
        _, found = self._open(lease, turn_id)
        found.turn = replace(found.turn, reply=reply)

    async def save_step(self, lease: Lease, turn_id: str, step: Step) -> None:
        """Write a step with the bytes of its files; an open one never replaces a closed one. Raises LeaseLost, FileRefused."""
        thread, found = self._open(lease, turn_id)
        step = self.redact.step(step)
        for file in records.step_files(step):
            await self.save_file(file)
        steps = {each.index: each for each in found.turn.steps}
        old = steps.get(step.index)
        if old is None or records.is_open(old) or not records.is_open(step):
            steps[step.index] = records.bare_step(step)
        found.glimpse = None
        if step.ran:
            thread.ran = found.ran = step_mark(turn_id, step.index)
        found.turn = replace(found.turn, steps=tuple(steps[index] for index in sorted(steps)))

    async def save_glimpse(self, lease: Lease, turn_id: str, glimpse: Glimpse) -> bool:
        """Let others see what a turn shows of the step under way; False where that has gone on, or the lease is no longer valid."""
        try:
            return self._open(lease, turn_id)[1].show(self.redact.glimpse(glimpse))
        except LeaseLost:
            return False

    async def end_turn(self, lease: Lease, turn_id: str, outcome: Outcome) -> Turn:
        """Write the outcome and take the message off the queue. Raises LeaseLost."""
        thread, found = self._open(lease, turn_id)
        outcome, ended = self.redact.outcome(outcome), now()
        found.turn = replace(found.turn, outcome=outcome, ended=ended)
        found.card = records.card(found.turn.incoming, found.turn.steps, outcome, found.turn.started, (ended - found.turn.started).total_seconds())
        thread.pending = [each for each in thread.pending if each[1].id != found.turn.incoming.id]
        thread.updated = now()
        self._owed[turn_id] = (lease.owner, now() + timedelta(seconds=records.GRACE))
        return found.turn

    async def turn(self, turn_id: str) -> Turn:
        """A turn, ended or not, without the files' bytes. Raises TurnNotFound."""
        for thread in self._threads.values():
            for each in thread.turns:
                if each.turn.id == turn_id:
                    return each.turn
        raise TurnNotFound(records.no_turn(turn_id))

    async def withdraw(self, thread: ThreadId, incoming_id: str) -> bool:
        """Take a message off the queue; False where it does not wait there or its turn has begun."""
        found = self._threads.get(thread)
        begun = found is None or any(each.turn.incoming.id == incoming_id for each in found.turns)
        if found is None or begun or all(incoming.id != incoming_id for _, incoming in found.pending):
            return False
        found.pending = [each for each in found.pending if each[1].id != incoming_id]
        return True

    async def conversation(self, place: str) -> ThreadId | None:
        """The conversation that goes on at a place of a platform; None where none was begun."""
        return self._places.get(place)

    async def move(self, place: str, thread: ThreadId) -> None:
        """Let this conversation go on at a place, instead of the one before."""
        self._places[place] = thread

    async def permit(self, thread: ThreadId, person: str) -> None:
        """Let a person stop and retry other people's questions in the thread. Raises ThreadNotFound."""
        if thread not in self._threads:
            raise ThreadNotFound(records.no_thread(thread))
        self._threads[thread].permitted[person] = None

    async def claim_delivery(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Turn | None:
        """Take an ended turn whose answer has not reached the platform, the one tried longest ago first; None where there is none."""
        at = now()
        for name, (_, until) in sorted(self._owed.items(), key=lambda item: item[1][1]):
            turn = await self.turn(name)
            if until <= at and turn.incoming.thread.startswith(tuple(prefixes)):
                self._owed[name] = (owner, at + timedelta(seconds=seconds))
                return turn
        return None

    async def backlog(self, prefixes: Sequence[str]) -> Backlog:
        """What waits and runs in the conversations whose ids begin with one of `prefixes`."""
        at, served = now(), tuple(prefixes)
        threads = [each for each in self._threads.values() if each.pending and each.id.startswith(served)]
        waiting = [came for each in threads for came in each.waiting]
        running = [each.since for each in threads if each.held and each.since]
        owed = [name for name in self._owed if (await self.turn(name)).incoming.thread.startswith(served)]
        return Backlog(
            waiting=len(waiting),
            waiting_seconds=(at - min(waiting, default=at)).total_seconds(),
            running=len(running),
            running_seconds=(at - min(running, default=at)).total_seconds(),
            owed=len(owed),
        )

    async def renew_delivery(self, turn_id: str, owner: str, seconds: float) -> bool:
        """Keep others from delivering a turn for longer; False where someone else does, or where it is delivered."""
        if turn_id not in self._owed or self._owed[turn_id][0] != owner:
            return False
        self._owed[turn_id] = (owner, now() + timedelta(seconds=seconds))
        return True

    async def delivered(self, turn_id: str) -> None:
        """Remember that the turn's answer has reached the platform."""
        self._owed.pop(turn_id, None)

    async def turns(self, thread: ThreadId, *, last: int | None = None) -> Sequence[Turn]:
        """The thread's ended turns, oldest first, without those undone; only the last ones where `last` is given."""
        found = self._threads.get(thread)
        turns = [each.turn for each in found.ended] if found else []
        return turns if last is None else turns[len(turns) - min(last, len(turns)) :]

    async def undo(self, thread: ThreadId) -> Turn | None:
        """Mark the last ended turn as undone and return it; None where there is none."""
        found = self._threads.get(thread)
        if not found or not found.ended:
            return None
        last = found.ended[-1]
        last.undone = True
        return last.turn

    async def find(self, query: Query) -> Sequence[Turn]:
        """Turns that match, newest first, at most 1,000."""
        found = [each for each in self._every() if each.matches(query)]
        found.sort(key=lambda each: (each.turn.started, each.number), reverse=True)
        return [each.turn for each in found[: records.bounded(query.limit)]]

    async def save_file(self, file: File) -> None:
        """Keep a file's bytes under their digest, once. Raises FileRefused where they do not belong to it."""
        self._files[file.digest], self._saved[file.digest] = records.content(file), now()

    async def load_file(self, digest: str) -> bytes:
        """Return the bytes of that digest. Raises FileRefused when there are none."""
        if digest not in self._files:
            raise FileRefused(records.no_file(digest))
        return self._files[digest]

    async def save_snapshot(self, lease: Lease, snapshot: Snapshot) -> None:
        """Keep the thread's state; it replaces the one before. Raises LeaseLost, FileRefused where a part came without its bytes and is not here."""
        self._held(lease).keep(snapshot)

    async def save_idle(self, thread: ThreadId, snapshot: Snapshot) -> bool:
        """Keep the state of a thread that nobody works in and no message waits in; False where its mark is not the last step that ran there."""
        found = self._threads.get(thread)
        if found is None or found.held or found.pending or found.ran != snapshot.mark:
            return False
        found.keep(snapshot)
        return True

    async def load_snapshot(self, thread: ThreadId) -> Snapshot | None:
        """The thread's last state; one without parts where code ran and no state was kept, None where none ran."""
        found = self._threads.get(thread)
        if found is None or found.snapshot is None:
            return Snapshot(parts=(), behind=True) if found and found.ran else None
        return replace(found.snapshot, behind=found.ran != found.snapshot.mark)

    async def keep_state(self, lease: Lease, turn_id: str) -> None:
        """Keep the thread's state as that of a turn, too, so that one can go back to it; those of long ago go. Raises LeaseLost."""
        thread = self._held(lease)
        for each in thread.turns:
            each.snapshot = thread.snapshot if each.turn.id == turn_id else each.snapshot
        for each in thread.turns[: -records.STATES]:
            each.snapshot = None

    async def fork(self, thread: ThreadId, fork: ThreadId, turns: int) -> bool:
        """Begin a conversation with the history and, where it is kept, the state that another had after so many turns. Raises ThreadNotFound."""
        found = self._threads.get(thread)
        if found is None:
            raise ThreadNotFound(records.no_thread(thread))
        past = found.ended[: max(0, turns)]
        last = next((each for each in reversed(past) if each.ran), None)
        state = next((each.snapshot for each in reversed(past) if each.ran or each.snapshot), None)
        self._threads[fork] = RememberedThread(
            id=fork,
            title=found.title,
            created=found.created,
            updated=now(),
            opened=len(past),
            names=dict(found.names),
            people=dict(found.people),
            words=dict(found.words),
            permitted=dict(found.permitted),
        )
        self._threads[fork].snapshot, self._threads[fork].ran = state, last.ran if last else ""
        for each in past:
            incoming = replace(each.turn.incoming, thread=fork)
            turn = replace(each.turn, id=records.turn_id(incoming), incoming=incoming, reply="")
            self._threads[fork].turns.append(replace(each, turn=turn, copied=True))
        return last is None or state is not None

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""
