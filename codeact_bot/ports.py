"""All ports: what the core needs from the outside, and what adapters need from the core."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

from codeact_bot.types import (
    Author,
    Backlog,
    Bounds,
    By,
    Check,
    Completion,
    Entry,
    Erased,
    Event,
    Execution,
    File,
    Fork,
    Glimpse,
    Incoming,
    Lease,
    Listing,
    Message,
    Order,
    Outcome,
    Preparing,
    Query,
    Receipt,
    Record,
    RecordPage,
    RunPage,
    Schedule,
    Share,
    SignIn,
    Snapshot,
    Step,
    Thread,
    ThreadId,
    Token,
    Total,
    Trail,
    Turn,
    Verdict,
    Work,
)

Hear = Callable[[str | None], Awaitable[bool]]
"""Is given each piece of the text as it streams, None when the stream broke and starts over; returns True when it has enough."""

Progress = Callable[[Preparing], None]
"""Is told how slow first-time work goes."""

Printed = Callable[[str], Awaitable[None]]
"""Is given output while the code runs."""

Found = Turn | Step | Execution | Snapshot | Incoming
Tell = Callable[[Found], None]
"""Is told what came of a piece of work."""


class Model(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """The model's name, as its provider spells it."""

    async def complete(self, messages: Sequence[Message], hear: Hear) -> Completion:
        """Stream one completion into `hear` and return it; the stream is closed when `hear` has enough.

        Raises ModelUnavailable when all retries failed, ModelRefused when retrying is pointless.
        """

    async def aclose(self) -> None:
        """Close all connections."""


class Channel(Protocol):
    """A byte stream to the worker inside a sandbox; all that a back end has to supply."""

    async def send(self, data: bytes) -> None:
        """Write all of `data`. Raises SandboxLost."""

    async def receive(self) -> bytes:
        """Return the next bytes, of any length; empty when the worker is gone."""

    async def aclose(self) -> None:
        """Kill the worker and remove everything it left; safe to call twice."""


class Session(Protocol):
    """A running sandbox that belongs to one conversation. Calls to `run` do not overlap."""

    async def run(self, code: str, *, seconds: float, bounds: Bounds, printed: Printed) -> Execution:
        """Run a block to its end or for `seconds`; whatever it does is a result. A dead sandbox gives status `lost`."""

    async def put(self, file: File) -> None:
        """Write a file into the working folder. Raises FileRefused, SandboxLost."""

    async def get(self, name: str, *, limit: int) -> File:
        """Read a file of at most `limit` bytes from the working folder. Raises FileRefused, SandboxLost."""

    async def files(self) -> Sequence[tuple[str, int]]:
        """List the working folder's regular files: names and sizes, sorted, the first 1,000. Raises SandboxLost."""

    async def snapshot(self, *, limit: int, known: Collection[str] = (), taken: Callable[[], None] = lambda: None) -> Snapshot:
        """Capture variables, definitions and the working folder in at most `limit` bytes; parts whose digest is `known` come without theirs.

        `taken` is called when code may run again, which the snapshot then does not see. Raises SandboxLost, FileRefused when larger.
        """

    async def restore(self, snapshot: Snapshot) -> Sequence[str]:
        """Bring a snapshot back; returns the names that could not be restored. Raises SandboxLost."""

    async def interrupt(self) -> None:
        """Stop the running block: KeyboardInterrupt, then kill after a second. Its `run` returns with status `stopped`."""

    @property
    def alive(self) -> bool:
        """False once the sandbox is known to be gone."""

    async def aclose(self) -> None:
        """Remove the sandbox with everything in it."""


class Sandbox(Protocol):
    """Starts sessions."""

    @property
    def name(self) -> str:
        """What a person is told: `docker (runc)`, `process (bubblewrap)`."""

    async def prepare(self, progress: Progress) -> None:
        """Do slow first-time work, such as building the image. Raises SandboxUnavailable, ImageUnavailable."""

    async def start(self, label: str) -> Session:
        """Start a session; `label` (a thread id, or `pool`) marks it for people who look.

        Raises SandboxUnavailable, ImageUnavailable, SandboxLost where it was taken away before it was ready.
        """

    async def reap(self) -> int:
        """Remove what dead workers left behind; returns how many sandboxes that were."""

    async def check(self) -> None:
        """Find out whether the engine answers, without starting anything. Raises SandboxUnavailable."""

    async def aclose(self) -> None:
        """Close connections to the engine; sessions are closed by their owners."""


class Ledger(Protocol):
    """The audit: an append-only chain of records, written by all workers, and the runs with their totals."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add records to the end of the chain, all of them or none; an entry whose key is there already is left out."""

    async def records(self, trail: Trail) -> RecordPage:
        """List records, newest first, at most 1,000."""

    async def chain(self, after: int, limit: int) -> Sequence[Record]:
        """The records after a number, oldest first, for `audit.verify`; damaged ones come as far as they can be read."""

    async def receipt(self) -> Receipt | None:
        """The end of the chain, as it is kept apart from it; None before the first record."""

    async def search(self, query: Query) -> RunPage:
        """List runs, newest first, at most 1,000; `query.cursor` goes on after an earlier page."""

    async def totals(self, query: Query, by: By) -> Sequence[Total]:
        """Add up the ended runs that a query finds (its limit does not count), the largest number of runs first, days in order; at most 1,000.

        Raises QueryInvalid where words or a cost are asked for that more than 5,000 runs fit.
        """

    async def tally(self) -> int:
        """Keep the sums of the weeks that are over, so that totals need not read their runs; returns how many weeks were added up.

        Totals are the same with and without. Safe in several workers at once, and after a crash.
        """


class Keeping(Protocol):
    """How long things are kept."""

    async def hold(self, thread: ThreadId, *, on: bool) -> None:
        """Put a conversation on legal hold, or release it. Raises ThreadNotFound."""

    async def expire(self, before: datetime, *, platform: str = "", other_than: Sequence[str] = ()) -> Erased:
        """Remove the questions that ended before a time, on a platform or on all but some, with all that belongs to them.

        The contents of their records go, too; the chain stays whole. Safe in several workers at once, and after a crash: what is left is
        removed by the next call.
        """

    async def forget(self, person: str, *, prefix: str = "") -> Erased:
        """Remove all that a person, named by their id, asked in conversations whose ids begin with a prefix, and what came of it."""

    async def find_words(self, limit: int) -> int:
        """Give conversations of before lists were searched the words by which they are found; returns how many those were, `limit` at most."""

    async def sweep(self, seconds: float = 600.0) -> int:
        """Remove the bytes of removed files that nobody else refers to and nobody has saved for so long; returns how many files that were."""


class Store(Ledger, Keeping, Protocol):
    """The queue, the history, the files. Writes that carry a Lease raise LeaseLost when it is no longer valid."""

    async def push(self, incoming: Incoming) -> bool:
        """Keep a message durably and queue it; False when it is a redelivery."""

    async def claim(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Lease | None:
        """Take the oldest waiting thread whose id begins with one of `prefixes` and which no live lease holds."""

    def arrivals(self) -> AsyncIterator[None]:
        """Yield whenever a message was queued, by whichever worker; a reason to claim, and not a promise that there is something."""

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Extend a lease."""

    async def release(self, lease: Lease) -> None:
        """Give the thread back; its turn, when ended, has left the queue already."""

    async def pending(self, thread: ThreadId) -> Sequence[Incoming]:
        """Messages that wait in the thread, oldest first, the one being answered included."""

    async def ask_stop(self, thread: ThreadId) -> None:
        """Ask whoever runs the thread's turn to stop."""

    async def stop_asked(self, lease: Lease) -> bool:
        """Whether a stop was asked for since the claim."""

    async def open_turn(self, lease: Lease) -> Turn:
        """Begin the turn of the lease's message, or return the one that a dead worker left open."""

    async def save_reply(self, lease: Lease, turn_id: str, reply: str) -> None:
        """Remember which post shows the turn."""

    async def save_step(self, lease: Lease, turn_id: str, step: Step) -> None:
        """Write a step, open or closed; a closed one replaces its open self, never the other way round."""

    async def save_glimpse(self, lease: Lease, turn_id: str, glimpse: Glimpse) -> bool:
        """Let others see what a turn shows of the step under way, until that begins to run, or ends.

        False, and nothing is written, where the lease is no longer valid or the step has gone on already. It may be lost in a crash.
        """

    async def glimpse(self, thread: ThreadId, turn_id: str) -> Glimpse | None:
        """What a turn that runs shows of the step under way; None where nothing was kept of that."""

    async def end_turn(self, lease: Lease, turn_id: str, outcome: Outcome) -> Turn:
        """Write the outcome and take the message off the queue: with one write the turn has ended, whatever happens after it."""

    async def turns(self, thread: ThreadId, *, last: int | None = None) -> Sequence[Turn]:
        """The thread's ended turns, oldest first, without those undone and without the files' bytes."""

    async def undo(self, thread: ThreadId) -> Turn | None:
        """Take the last ended turn out of the history (it is kept, marked as undone); None where there is none."""

    async def thread(self, thread: ThreadId) -> Thread:
        """Raises ThreadNotFound."""

    async def threads(self, *, limit: int) -> Sequence[Thread]:
        """The conversations, the last active first."""

    async def browse(self, listing: Listing) -> Sequence[Thread]:
        """The conversations that fit, the last active first."""

    async def save_share(self, share: Share) -> None:
        """Keep a link by which a conversation is shared."""

    async def share(self, share_id: str) -> Share | None:
        """A link that is still good; None where there is none."""

    async def shares(self, thread: ThreadId) -> Sequence[Share]:
        """The links to a conversation that are still good, the first made first."""

    async def remove_share(self, thread: ThreadId, share_id: str) -> Share | None:
        """Make a link to a conversation void and return it; None where there is none."""

    async def save_token(self, token: Token) -> bool:
        """Keep a token; False where there is one of that name already."""

    async def token(self, token_id: str) -> Token | None:
        """A token that is still good; None where there is none."""

    async def tokens(self) -> Sequence[Token]:
        """All tokens, those whose time is over, too, the first made first; at most 1,000."""

    async def remove_token(self, name: str) -> bool:
        """Make a token void; False where there is none of that name."""

    async def save_sign_in(self, sign_in: SignIn) -> None:
        """Keep that somebody is signed in."""

    async def sign_in(self, sign_in_id: str) -> SignIn | None:
        """A sign-in that is still good; None where there is none."""

    async def sign_ins(self) -> Sequence[SignIn]:
        """The sign-ins that are still good, the first made first; at most 1,000."""

    async def end_sign_in(self, sign_in_id: str) -> None:
        """Sign somebody out in one browser."""

    async def end_sign_ins(self, person: str) -> int:
        """Sign a person, named by their id, out in all browsers; returns in how many they were signed in."""

    async def find(self, query: Query) -> Sequence[Turn]:
        """Turns that match, newest first."""

    async def turn(self, turn_id: str) -> Turn:
        """A turn, ended or not, without the files' bytes. Raises TurnNotFound."""

    async def withdraw(self, thread: ThreadId, incoming_id: str) -> bool:
        """Take a message off the queue; False where it does not wait there or its turn has begun."""

    async def conversation(self, place: str) -> ThreadId | None:
        """The conversation that goes on at a place of a platform; None where none was begun."""

    async def move(self, place: str, thread: ThreadId) -> None:
        """Let this conversation go on at a place, instead of the one before."""

    async def permit(self, thread: ThreadId, person: str) -> None:
        """Let a person stop and retry other people's questions in the thread. Raises ThreadNotFound."""

    async def claim_delivery(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Turn | None:
        """Take an ended turn whose answer has not reached the platform, the oldest first; no one else gets it for `seconds`.

        A turn that has just ended is left to its own worker for half a minute.
        """

    async def renew_delivery(self, turn_id: str, owner: str, seconds: float) -> bool:
        """Keep others from delivering a turn for longer; False where someone else does, or where it is delivered."""

    async def delivered(self, turn_id: str) -> None:
        """Remember that the turn's answer has reached the platform."""

    async def save_file(self, file: File) -> None:
        """Keep a file's bytes under their digest; saving the same bytes twice keeps them once."""

    async def load_file(self, digest: str) -> bytes:
        """Raises FileRefused when there are no such bytes."""

    async def save_snapshot(self, lease: Lease, snapshot: Snapshot) -> None:
        """Keep the thread's state; it replaces the one before. Raises FileRefused where a part came without its bytes and is not here."""

    async def save_idle(self, thread: ThreadId, snapshot: Snapshot) -> bool:
        """Keep the state of a thread that nobody works in and no message waits in; False where its mark is not the last step that ran there."""

    async def load_snapshot(self, thread: ThreadId) -> Snapshot | None:
        """The thread's last state; one without parts where code ran and no state was kept, None where none ran."""

    async def keep_state(self, lease: Lease, turn_id: str) -> None:
        """Keep the thread's state as that of a turn, too, so that one can go back to it; those of long ago go."""

    async def fork(self, thread: ThreadId, fork: ThreadId, turns: int) -> bool:
        """Begin a conversation with the history and the state that another had after so many of its turns.

        Returns False where code ran in them and its state is no longer kept: then it has the history alone. Raises ThreadNotFound.
        """

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a new schedule; one that is there under its id already stays as it is."""

    async def schedule(self, schedule_id: str) -> Schedule:
        """Raises ScheduleNotFound."""

    async def schedules(self, *, channel: str = "", person: str = "") -> Sequence[Schedule]:
        """The schedules of a channel, of a person, or all, the first made first; at most 1,000."""

    async def set_next(self, schedule_id: str, at: datetime | None) -> Schedule:
        """Say when a schedule runs next; None pauses it. Raises ScheduleNotFound."""

    async def remove_schedule(self, schedule_id: str) -> Schedule:
        """Remove a schedule. Raises ScheduleNotFound."""

    async def due(self, prefixes: Sequence[str]) -> tuple[datetime, Sequence[Schedule]]:
        """The store's time, and the schedules of channels that begin with a prefix which are due by it or have a run that has begun."""

    async def begin_fire(self, schedule: Schedule, incoming: Incoming, following: datetime | None) -> bool:
        """Begin the run that a schedule is due for, and say when the next one is; False where another worker has, or it was changed meanwhile."""

    async def fired(self, schedule_id: str, incoming_id: str) -> None:
        """Remember that the message of a run is in the queue."""

    async def backlog(self, prefixes: Sequence[str]) -> Backlog:
        """What waits and runs in the conversations whose ids begin with one of `prefixes`."""

    async def aclose(self) -> None:
        """Close connections."""


class Observer(Protocol):
    """Sees what a worker does: measures, traces and the log are made of it. It raises nothing and holds nothing up."""

    def during(self, work: Work) -> AbstractContextManager[Tell]:
        """See a piece of work that lasts as long as the body; an exception that ends the body ends it, too."""


class Unobserved:
    """The Observer of those who want none."""

    def during(self, work: Work) -> AbstractContextManager[Tell]:
        """Look away."""
        return nullcontext(lambda _: None)


UNOBSERVED: Observer = Unobserved()


class Watch(Protocol):
    """What those who look after a worker are told."""

    async def ready(self) -> Sequence[Check]:
        """Whether it can take in messages and answer them, line by line."""

    async def metrics(self) -> tuple[bytes, str]:
        """All measures as Prometheus reads them, and their content type."""


class Inbox(Protocol):
    """Where adapters hand in what people send."""

    async def accept(self, incoming: Incoming) -> bool:
        """Queue a message; on return it is durable. False when it is a redelivery."""

    async def stop(self, thread: ThreadId) -> None:
        """Stop the thread's running turn, wherever it runs."""

    async def withdraw(self, thread: ThreadId, incoming_id: str) -> bool:
        """Give a message up: off the queue while it waits, stopped while it is answered; False where it is neither."""


class Auditing(Protocol):
    """What those who may see everything look up in the audit."""

    async def search(self, query: Query) -> RunPage:
        """List runs, newest first, at most 1,000. Raises QueryInvalid for a cursor that is none."""

    async def totals(self, query: Query, by: By) -> Sequence[Total]:
        """Add up the ended runs that a query finds, the largest number of runs first, days in order; at most 1,000.

        Raises QueryInvalid where words or a cost are asked for that too many runs fit.
        """

    async def records(self, trail: Trail) -> RecordPage:
        """List records, newest first, at most 1,000. Raises QueryInvalid for a cursor that is none."""

    def verify(self) -> AsyncGenerator[int | Verdict]:
        """Walk along the chain: how many records were looked at, again and again, and in the end what was found."""

    def runs_file(self, query: Query, kind: str) -> AsyncGenerator[bytes]:
        """Write all runs that a query finds as `csv`, `jsonl` or `parquet`, piece by piece. Raises ConfigurationInvalid without pyarrow."""


class Desk(Auditing, Protocol):
    """What chat adapters look up and do for a person's command or button."""

    async def turn(self, turn_id: str) -> Turn:
        """A turn, ended or not, without the files' bytes. Raises TurnNotFound."""

    async def thread(self, thread: ThreadId) -> Thread:
        """Raises ThreadNotFound."""

    async def turns(self, thread: ThreadId, *, last: int | None = None) -> Sequence[Turn]:
        """The thread's ended turns, oldest first."""

    async def find(self, query: Query) -> Sequence[Turn]:
        """Turns that match, newest first."""

    async def pending(self, thread: ThreadId) -> Sequence[Incoming]:
        """Messages that wait in the thread, oldest first, the one being answered included."""

    async def glimpse(self, thread: ThreadId, turn_id: str) -> Glimpse | None:
        """What a turn that runs, here or elsewhere, shows of the step under way; None where nothing is known of that."""

    async def load(self, file: File) -> bytes:
        """The bytes of a file that the store keeps. Raises FileRefused when there are none."""

    async def export(self, thread: ThreadId, kind: str) -> File:
        """Write the conversation as `md`, `json`, `ipynb` or `jsonl`. Raises ThreadNotFound."""

    async def conversation(self, place: str) -> ThreadId | None:
        """The conversation that goes on at a place of a platform; None where none was begun."""

    async def move(self, place: str, thread: ThreadId) -> None:
        """Let this conversation go on at a place, instead of the one before."""

    async def permit(self, thread: ThreadId, person: str) -> None:
        """Let a person stop and retry other people's questions in the thread. Raises ThreadNotFound."""

    async def fork(self, thread: ThreadId, turns: int, platform: str = "") -> Fork:
        """Begin a conversation with the history and state that another had after so many of its turns; the other stays. Raises ThreadNotFound.

        It goes on at the other's platform, or at the given one.
        """

    async def browse(self, listing: Listing) -> Sequence[Thread]:
        """The conversations that fit, the last active first."""

    async def share(self, thread: ThreadId, by: Author, days: float) -> str:
        """Make a link by which everybody may read a conversation for some days, and record that; returns its secret."""

    async def shared(self, secret: str) -> Share | None:
        """What a link leads to; None where it is unknown, void, or too old."""

    async def shares(self, thread: ThreadId) -> Sequence[Share]:
        """The links to a conversation that are still good, the first made first."""

    async def unshare(self, thread: ThreadId, share_id: str, by: Author) -> None:
        """Make a link to a conversation void, and record that."""

    async def token(self, secret: str) -> Token | None:
        """The token that a secret belongs to; None where it is unknown, void, or too old."""

    async def sign_in(self, person: Author, seconds: float) -> str:
        """Let somebody be signed in for so long, in one browser; returns the secret that it shows from then on."""

    async def signed_in(self, secret: str) -> SignIn | None:
        """Who is signed in by a secret; None where it is unknown, was ended, or is too old."""

    async def sign_out(self, secret: str) -> None:
        """Make the secret of a browser void."""

    async def record(self, entry: Entry) -> None:
        """Add to the audit what somebody did, saw, or was refused."""

    async def order(self, order: Order) -> Schedule:
        """Make a schedule. Raises ScheduleRefused."""

    async def schedules(self, channel: str) -> Sequence[Schedule]:
        """The schedules of a channel, the first made first."""

    async def schedule(self, schedule_id: str) -> Schedule:
        """Raises ScheduleNotFound."""

    async def pause(self, schedule_id: str) -> Schedule:
        """Let a schedule rest. Raises ScheduleNotFound."""

    async def resume(self, schedule_id: str) -> Schedule:
        """Let a schedule run again from now on. Raises ScheduleNotFound."""

    async def remove_schedule(self, schedule_id: str) -> None:
        """Remove a schedule. Raises ScheduleNotFound."""

    async def run_now(self, schedule_id: str, name: str) -> Incoming:
        """Return the message of one run of a schedule, to be handed in; `name` tells this wish from others. Raises ScheduleNotFound."""

    def upcoming(self, schedule: Schedule, count: int) -> Sequence[datetime]:
        """The next times of a schedule, in its time zone; none while it is paused."""


class Reply(Protocol):
    """The post that shows one turn."""

    @property
    def reference(self) -> str:
        """What `ChatAdapter.reply` needs to go on with this post after a crash."""

    async def show(self, event: Event) -> None:
        """Show an event; paces itself, raises nothing for a platform's failures."""

    async def aclose(self) -> None:
        """Write nothing more, since the turn goes on elsewhere; what is under way comes to its end first. The end of a turn is shown all the same."""


class ChatAdapter(Protocol):
    """A way for people to reach the bot."""

    @property
    def prefixes(self) -> Sequence[str]:
        """Beginnings of the thread ids that this adapter serves: `("slack:",)`."""

    async def listen(self, inbox: Inbox) -> None:
        """Take in messages until cancelled or until there can be no more."""

    async def reply(self, turn: Turn) -> Reply:
        """Open the post for a turn, or go on with the one that `turn.reply` names."""

    async def settle(self, asked: Turn, by: Incoming) -> None:
        """Show in the post of a turn that asked for an approval what came of that: a yes, a no, or another message, which makes it void."""

    async def check(self) -> Check:
        """Whether people are heard, without asking the platform."""
