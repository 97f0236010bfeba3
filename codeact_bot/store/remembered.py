"""What MemoryStore keeps of a thread and of a turn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from codeact_bot.errors import FileRefused
from codeact_bot.store import records, rows
from codeact_bot.types import Ending, Glimpse, Incoming, Listing, Query, Run, Snapshot, Thread, ThreadId, Turn, now


@dataclass(slots=True)
class RememberedTurn:
    """A turn, and what a search compares of it."""

    turn: Turn
    card: records.Card
    number: int
    token: int
    undone: bool = False
    copied: bool = False
    """Whether a fork took it along: it is no run of its own, and costs nothing again."""
    ran: str = ""
    """The last of its steps whose code ran, as `step_mark` names it; in a fork, by its name of before."""
    snapshot: Snapshot | None = None
    glimpse: Glimpse | None = None
    """What it shows of the step under way."""

    def show(self, glimpse: Glimpse) -> bool:
        """Let others see the step under way; False where that has gone on already."""
        there = [records.is_open(step) for step in self.turn.steps if step.index == glimpse.step]
        if there != ([True] if glimpse.running else []):
            return False
        self.glimpse = glimpse
        return True

    def run(self) -> Run:
        """What lists of runs show."""
        turn = self.turn
        fields = {"turn": turn.id, "thread": turn.incoming.thread, "author": turn.incoming.author, "question": turn.incoming.text}
        ending = turn.outcome.ending if turn.outcome else None
        return rows.run_of(facts=self.card.facts, started=turn.started, ended=turn.ended, ending=ending, **fields)

    def matches(self, query: Query) -> bool:
        """Whether a query finds it."""
        turn, card = self.turn, self.card
        return not self.undone and all((
            query.thread in (None, turn.incoming.thread),
            turn.incoming.thread.startswith(query.prefix),
            not query.person or records.fold(query.person) in card.people,
            query.ending is None or (turn.outcome is not None and turn.outcome.ending is query.ending),
            not query.error or records.fold(query.error) in card.errors,
            query.since is None or turn.started >= query.since,
            query.until is None or turn.started < query.until,
            query.platform in ("", card.facts.platform),
            query.channel in ("", card.facts.channel),
            query.model in ("", card.facts.model),
            query.min_cost <= 0 or (card.facts.cost >= query.min_cost and not self.copied),
            set(records.wanted_words(query)) <= set(card.words),
        ))


@dataclass(slots=True)
class RememberedThread:
    """A thread: its queue, its lease, its turns, its state."""

    id: ThreadId
    title: str
    created: datetime
    updated: datetime
    pending: list[tuple[int, Incoming]] = field(default_factory=list)
    seen: dict[str, datetime] = field(default_factory=dict)
    """Its messages, and when each came."""
    names: dict[str, None] = field(default_factory=dict)
    people: dict[str, None] = field(default_factory=dict)
    words: dict[str, None] = field(default_factory=dict)
    turns: list[RememberedTurn] = field(default_factory=list)
    opened: int = 0
    """Turns that were ever begun in it."""
    token: int = 0
    owner: str = ""
    since: datetime | None = None
    """When the lease was given."""
    until: datetime | None = None
    stop: str = ""
    snapshot: Snapshot | None = None
    ran: str = ""
    permitted: dict[str, None] = field(default_factory=dict)
    hold: bool = False

    @property
    def held(self) -> bool:
        """Whether a live lease holds it."""
        return self.until is not None and self.until > now()

    def keep(self, snapshot: Snapshot) -> None:
        """Replace its state. Raises FileRefused where a part came without its bytes and was not in the state before."""
        here = {part.digest: part for part in self.snapshot.parts} if self.snapshot else {}
        missing = [part.digest for part in snapshot.parts if part.data is None and part.digest not in here]
        if missing:
            raise FileRefused(records.no_file(missing[0]))
        self.snapshot = replace(snapshot, parts=tuple(here[part.digest] if part.data is None else part for part in snapshot.parts))

    @property
    def waiting(self) -> list[datetime]:
        """When the messages came that nobody answers yet, the first one first."""
        return [self.seen[incoming.id] for _, incoming in self.pending[self.held :]]

    @property
    def ended(self) -> list[RememberedTurn]:
        """The turns of its history."""
        return [each for each in self.turns if each.turn.outcome is not None and not each.undone]

    @property
    def ending(self) -> Ending | None:
        """How its last turn ended."""
        last = next((each.turn.outcome for each in reversed(self.turns) if each.turn.outcome is not None), None)
        return last.ending if last else None

    def fits(self, listing: Listing) -> bool:
        """Whether a list of conversations has it."""
        return all((
            all(any(word.startswith(wanted) for word in self.words) for wanted in records.words([listing.text])),
            self.id.startswith(listing.prefix),
            not listing.running or bool(self.pending),
            listing.ending is None or (listing.ending is self.ending and not self.pending),
            not listing.person or listing.person in self.people or listing.person in self.permitted,
            listing.after is None or (-self.updated.timestamp(), self.id) > (-listing.after[0].timestamp(), listing.after[1]),
        ))

    def view(self) -> Thread:
        """Describe it."""
        return Thread(
            id=self.id,
            title=self.title,
            participants=tuple(self.names),
            people=tuple(self.people),
            running=bool(self.pending),
            ending=self.ending,
            turns=len(self.ended),
            created=self.created,
            updated=self.updated,
            opened=self.opened,
            permitted=tuple(self.permitted),
            hold=self.hold,
        )
