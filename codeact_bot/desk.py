"""What people may look up and do beside asking: the core's side of slash commands and buttons."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from codeact_bot.auditing import StoreAuditing
from codeact_bot.export import export
from codeact_bot.ports import Store
from codeact_bot.rhythm import Rhythm
from codeact_bot.schedule import Schedules
from codeact_bot.types import (
    Author,
    Deed,
    Entry,
    File,
    Fork,
    Glimpse,
    Incoming,
    Listing,
    Order,
    Query,
    Schedule,
    Share,
    SignIn,
    Thread,
    ThreadId,
    Token,
    Turn,
    now,
)


class StoreDesk(StoreAuditing):
    """A Desk on a store."""

    def __init__(self, store: Store, zone: str = "UTC") -> None:
        """Take the store, and the time zone of schedules that name none."""
        super().__init__(store)
        self._store = store
        self._schedules = Schedules(store, zone)

    async def turn(self, turn_id: str) -> Turn:
        """A turn, ended or not. Raises TurnNotFound."""
        return await self._store.turn(turn_id)

    async def thread(self, thread: ThreadId) -> Thread:
        """Raises ThreadNotFound."""
        return await self._store.thread(thread)

    async def turns(self, thread: ThreadId, *, last: int | None = None) -> Sequence[Turn]:
        """The thread's ended turns, oldest first."""
        return await self._store.turns(thread, last=last)

    async def find(self, query: Query) -> Sequence[Turn]:
        """Turns that match, newest first."""
        return await self._store.find(query)

    async def pending(self, thread: ThreadId) -> Sequence[Incoming]:
        """Messages that wait in the thread, the one being answered included."""
        return await self._store.pending(thread)

    async def glimpse(self, thread: ThreadId, turn_id: str) -> Glimpse | None:
        """What a turn that runs shows of the step under way."""
        return await self._store.glimpse(thread, turn_id)

    async def load(self, file: File) -> bytes:
        """The bytes of a file that the store keeps. Raises FileRefused when there are none."""
        return file.data if file.data is not None else await self._store.load_file(file.digest)

    async def export(self, thread: ThreadId, kind: str) -> File:
        """Write the conversation as `md`, `json`, `ipynb` or `jsonl`. Raises ThreadNotFound."""
        data = await export(await self._store.thread(thread), await self._store.turns(thread), kind, self._store.load_file)
        return File.of(f"{re.sub(r'[^A-Za-z0-9.-]', '-', thread)}.{kind}", data)

    async def conversation(self, place: str) -> ThreadId | None:
        """The conversation that goes on at a place of a platform; None where none was begun."""
        return await self._store.conversation(place)

    async def move(self, place: str, thread: ThreadId) -> None:
        """Let this conversation go on at a place, instead of the one before."""
        await self._store.move(place, thread)

    async def permit(self, thread: ThreadId, person: str) -> None:
        """Let a person stop and retry other people's questions in the thread. Raises ThreadNotFound."""
        await self._store.permit(thread, person)

    async def fork(self, thread: ThreadId, turns: int, platform: str = "") -> Fork:
        """Begin a conversation with the history and state that another had after so many of its turns; the other stays. Raises ThreadNotFound.

        It goes on at the other's platform, or at the given one.
        """
        fork = ThreadId(f"{platform}:{secrets.token_hex(8)}" if platform else f"{thread.partition('#')[0]}#{secrets.token_hex(4)}")
        whole = await self._store.fork(thread, fork, turns)
        return Fork(thread=fork, turns=(await self._store.thread(fork)).turns, whole=whole)

    async def browse(self, listing: Listing) -> Sequence[Thread]:
        """The conversations that fit, the last active first."""
        return await self._store.browse(listing)

    async def share(self, thread: ThreadId, by: Author, days: float) -> str:
        """Make a link by which everybody may read a conversation for some days, and record that; returns its secret."""
        secret, made = secrets.token_urlsafe(24), now()
        share = Share(id=_digest(secret), thread=thread, by=by, made=made, until=made + timedelta(days=days))
        await self.record(Entry(kind=Deed.SHARED, author=by, thread=thread, subject=share.name, status="made", text=f"for {days:g} days"))
        await self._store.save_share(share)
        return secret

    async def shared(self, secret: str) -> Share | None:
        """What a link leads to; None where it is unknown, void, or too old."""
        return await self._store.share(_digest(secret))

    async def shares(self, thread: ThreadId) -> Sequence[Share]:
        """The links to a conversation that are still good, the first made first."""
        return await self._store.shares(thread)

    async def unshare(self, thread: ThreadId, share_id: str, by: Author) -> None:
        """Make a link to a conversation void, and record that."""
        gone = await self._store.remove_share(thread, share_id)
        if gone is not None:
            await self.record(Entry(kind=Deed.SHARED, author=by, thread=thread, subject=gone.name, status="revoked"))

    async def token(self, secret: str) -> Token | None:
        """The token that a secret belongs to; None where it is unknown, void, or too old."""
        return await self._store.token(_digest(secret))

    async def sign_in(self, person: Author, seconds: float) -> str:
        """Let somebody be signed in for so long, in one browser; returns the secret that it shows from then on."""
        secret, made = secrets.token_urlsafe(24), now()
        await self._store.save_sign_in(SignIn(id=_digest(secret), person=person, made=made, until=made + timedelta(seconds=seconds)))
        return secret

    async def signed_in(self, secret: str) -> SignIn | None:
        """Who is signed in by a secret; None where it is unknown, was ended, or is too old."""
        return await self._store.sign_in(_digest(secret))

    async def sign_out(self, secret: str) -> None:
        """Make the secret of a browser void."""
        await self._store.end_sign_in(_digest(secret))

    async def record(self, entry: Entry) -> None:
        """Add to the audit what somebody did, saw, or was refused."""
        await self._store.append([entry])

    async def order(self, order: Order) -> Schedule:
        """Make a schedule. Raises ScheduleRefused."""
        return await self._schedules.make(order)

    async def schedules(self, channel: str) -> Sequence[Schedule]:
        """The schedules of a channel, the first made first."""
        return await self._store.schedules(channel=channel)

    async def schedule(self, schedule_id: str) -> Schedule:
        """Raises ScheduleNotFound."""
        return await self._store.schedule(schedule_id)

    async def pause(self, schedule_id: str) -> Schedule:
        """Let a schedule rest. Raises ScheduleNotFound."""
        return await self._schedules.pause(schedule_id)

    async def resume(self, schedule_id: str) -> Schedule:
        """Let a schedule run again from now on. Raises ScheduleNotFound."""
        return await self._schedules.resume(schedule_id)

    async def remove_schedule(self, schedule_id: str) -> None:
        """Remove a schedule. Raises ScheduleNotFound."""
        await self._store.remove_schedule(schedule_id)

    async def run_now(self, schedule_id: str, name: str) -> Incoming:
        """Return the message of one run of a schedule, to be handed in; `name` tells this wish from others. Raises ScheduleNotFound."""
        return await self._schedules.run_now(schedule_id, name)

    def upcoming(self, schedule: Schedule, count: int) -> Sequence[datetime]:
        """The next times of a schedule, in its time zone; none while it is paused."""
        rhythm = Rhythm(cron=schedule.cron, zone=schedule.zone)
        return rhythm.times(schedule.next - timedelta(seconds=1), count) if schedule.next else []


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
