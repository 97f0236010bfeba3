"""What every store derives in the same way from a message or a turn: ids, titles, and what a search finds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from codeact_bot.errors import FileRefused
from codeact_bot.types import Author, Execution, File, Incoming, Lease, Malformed, Outcome, Part, Query, RunCode, Status, Step, ThreadId, Usage

MESSAGE_BYTES = 1024 * 1024
"""Longest text of one message: queued messages share one document of at most 16 MB."""
SEEN = 200
"""Ids of a thread's last messages that are remembered to recognise a redelivery."""
FORGOTTEN = "forgotten"
"""The last step of a thread whose state was removed: no sandbox holds its effects, so that those which do give way."""
ERASING = 60.0
"""Seconds that the removal of a thread's content may take before another worker goes on with it."""
STATES = 20
"""Turns of a thread whose states are kept, so that one can go back to them."""
TITLE = 80
"""Characters of a thread's title."""
GRACE = 30.0
"""Seconds in which the worker that ended a turn is the only one to deliver its answer."""
WORDS = 5_000
"""Distinct words of one turn that a search can find; question, answer and code come first."""
LISTED_WORDS = 1_000
"""Distinct words of one thread's questions by which a list of conversations finds it."""
WORD = 64
"""Characters of a word that a search compares."""
FOUND = 1_000
"""Turns or threads that one query returns at most."""


def turn_id(incoming: Incoming) -> str:
    """Derive the id of the turn that answers a message, the same in every worker."""
    return turn_id_of(incoming.thread, incoming.id)


def turn_id_of(thread: ThreadId, incoming_id: str) -> str:
    """Derive the id of the turn that answers a thread's message."""
    name = f"{thread}\0{incoming_id}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def title(incoming: Incoming) -> str:
    """Return the beginning of a message on one line, or its first file's name where it has no text."""
    words = " ".join(incoming.text.split()) or next((file.name for file in incoming.files), "")
    return words if len(words) <= TITLE else words[: TITLE - 1].rstrip() + "…"


def check_message(incoming: Incoming) -> None:
    """Raise FileRefused for a text that is too long to be queued."""
    size = len(incoming.text.encode("utf-8", "surrogatepass"))
    if size > MESSAGE_BYTES:
        message = f"The message has {size:,} bytes, and at most {MESSAGE_BYTES:,} can be taken. Send the long part as a file."
        raise FileRefused(message)


def content(file: File) -> bytes:
    """Return a file's bytes. Raises FileRefused where there are none or its digest is not theirs."""
    if file.data is None or hashlib.sha256(file.data).hexdigest() != file.digest:
        raise FileRefused(f"The bytes of {file.name!r} are missing or do not belong to its digest. Make it with File.of(name, data).")
    return file.data


def bare(files: Iterable[File]) -> tuple[File, ...]:
    """Return the files without their bytes."""
    return tuple(replace(file, data=None) for file in files)


def bare_incoming(incoming: Incoming) -> Incoming:
    """Return the message without the bytes of its files."""
    return replace(incoming, files=bare(incoming.files))


def bare_step(step: Step) -> Step:
    """Return the step without the bytes of its files."""
    if step.execution is None:
        return step
    return replace(step, execution=replace(step.execution, files=bare(step.execution.files), images=bare(step.execution.images)))


def carried(files: Iterable[File]) -> list[File]:
    """Return the files that carry their bytes."""
    return [file for file in files if file.data is not None]


def is_open(step: Step) -> bool:
    """Whether the step's code is still running, or was when its worker died."""
    return isinstance(step.action, RunCode) and step.execution is None


def distinct(parts: Iterable[Part]) -> Iterable[Part]:
    """Return the parts with each digest once."""
    return {part.digest: part for part in parts}.values()


def step_files(step: Step) -> list[File]:
    """Return the step's files and images that carry their bytes."""
    return [] if step.execution is None else carried((*step.execution.files, *step.execution.images))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What lists and totals of runs show of one turn; `Run` and `Total` say what the fields mean."""

    platform: str
    channel: str
    person: str
    """The author's name and id, as totals name them."""
    model: str = ""
    failures: str = ""
    """Types of the errors as Python names them, each on a line: one value, so that an index alone can answer for it."""
    day: str = ""
    ending: str = ""
    steps: int = 0
    repairs: int = 0
    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0


def facts(incoming: Incoming, steps: Sequence[Step], outcome: Outcome | None, started: datetime | None, seconds: float) -> Facts:
    """Sum a turn up."""
    usage = sum((step.completion.usage for step in steps), Usage())
    failures = [step.execution.error.type for step in steps if step.execution and step.execution.error]
    return Facts(
        platform=incoming.thread.partition(":")[0],
        channel=channel(incoming.thread),
        person=person(incoming.author),
        model=steps[-1].completion.model if steps else "",
        failures="\n".join(dict.fromkeys(failures)),
        ending=str(outcome.ending) if outcome else "",
        day=started.astimezone(UTC).date().isoformat() if started else "",
        steps=len(steps),
        repairs=sum(map(_went_wrong, steps)),
        seconds=seconds,
        tokens=usage.tokens,
        cost=usage.cost,
    )


def _went_wrong(step: Step) -> bool:
    return isinstance(step.action, Malformed) or (step.execution is not None and step.execution.status is not Status.OK)


def channel(thread: ThreadId) -> str:
    """Return where a thread is: its platform and, where it has them, workspace and channel."""
    parts = thread.partition("#")[0].split(":")
    return ":".join(parts[:3]) if len(parts) > 2 else parts[0]


def person(author: Author) -> str:
    """Name a person so that nobody else is meant."""
    return author.id if author.name in ("", author.id) else f"{author.name} ({author.id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a search compares of one turn."""

    people: tuple[str, ...]
    """The author's id and name."""
    errors: tuple[str, ...]
    """Types of the errors, with and without their module."""
    words: tuple[str, ...]
    facts: Facts


def card(
    incoming: Incoming, steps: Iterable[Step] = (), outcome: Outcome | None = None, started: datetime | None = None, seconds: float = 0.0
) -> Card:
    """Describe a turn for the search; while it runs, by its question alone."""
    steps = tuple(steps)
    runs = [step.execution for step in steps if step.execution is not None]
    texts = [incoming.text, *(file.name for file in incoming.files), outcome.text if outcome else ""]
    texts += [part for step in steps for part in _action_texts(step)]
    texts += [part for run in runs for part in _run_texts(run)]
    return Card(
        people=tuple(dict.fromkeys(fold(name) for name in (incoming.author.id, incoming.author.name))),
        errors=tuple(dict.fromkeys(name for run in runs if run.error for name in _error_names(run.error.type))),
        words=tuple(words(texts)),
        facts=facts(incoming, steps, outcome, started, seconds),
    )


def _action_texts(step: Step) -> list[str]:
    return [getattr(step.action, name, "") for name in ("code", "thought", "text")]


def _run_texts(run: Execution) -> list[str]:
    error = [run.error.type, run.error.message] if run.error else []
    tables = [cell for table in run.tables for row in (table.columns, *table.rows) for cell in row]
    return [*error, *(file.name for file in run.files), run.value or "", run.output, *tables]


def _error_names(kind: str) -> tuple[str, str]:
    return fold(kind), fold(kind.rpartition(".")[2])


def fold(text: str) -> str:
    """Make a name or a word comparable whatever its case."""
    return text.strip().casefold()[:WORD]


def words(texts: Iterable[str]) -> list[str]:
    """Return the distinct words of some texts, folded, in the order met, the first `WORDS` of them."""
    found: dict[str, None] = {}
    for word in _split(texts):
        found[word] = None
        if len(found) == WORDS:
            break
    return list(found)


def listed_words(incoming: Incoming) -> list[str]:
    """Return the words of a message by which a list of conversations finds its thread."""
    texts = [title(incoming), incoming.author.name, *(file.name for file in incoming.files), incoming.text]
    return words(texts)[:LISTED_WORDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a list of conversations shows of one, from the messages that are left of it."""

    title: str
    participants: tuple[str, ...]
    people: tuple[str, ...]
    words: tuple[str, ...]


def described(messages: Sequence[Incoming]) -> Described:
    """Describe a thread by its messages, oldest first."""
    found = [word for incoming in messages for word in listed_words(incoming)]
    return Described(
        title=title(messages[0]) if messages else "",
        participants=tuple(dict.fromkeys(incoming.author.name for incoming in messages)),
        people=tuple(dict.fromkeys(incoming.author.id for incoming in messages)),
        words=tuple(dict.fromkeys(found))[:LISTED_WORDS],
    )


def _split(texts: Iterable[str]) -> Iterator[str]:
    return (fold(match.group()) for text in texts for match in re.finditer(r"\w+", text))


def bounded(limit: int) -> int:
    """Return a limit between 1 and `FOUND`."""
    return max(1, min(limit, FOUND))


def wanted_words(query: Query) -> list[str]:
    """Return the words of a query, all of which a turn must have."""
    return words([query.text])


def no_thread(thread: ThreadId) -> str:
    """Phrase that a conversation does not exist."""
    return f"There is no conversation {thread!r}. `codeact-bot history` lists those there are."


def no_turn(turn_id: str) -> str:
    """Phrase that a turn does not exist."""
    return f"There is no answer with the id {turn_id!r} any more. It was removed, or this bot now uses another database."


def no_schedule(schedule_id: str) -> str:
    """Phrase that a schedule does not exist."""
    return f"There is no schedule {schedule_id!r} any more. `/codeact schedule list` shows those of a channel."


def no_file(digest: str) -> str:
    """Phrase that the store has no such bytes."""
    return f"The store holds no file with the digest {digest}. It was never saved, or it was removed with its conversation."


def lease_lost(lease: Lease) -> str:
    """Phrase that a lease is no longer valid."""
    return f"The conversation {lease.thread} is no longer held by {lease.owner}: its lease ended. Claim it again."


def turn_closed(lease: Lease, turn_id: str) -> str:
    """Phrase that there is no open turn to write to."""
    return f"The turn {turn_id} of {lease.thread} is not open. Claim the conversation again."
