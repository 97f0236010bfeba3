"""Messages, steps and a worker's moves, for the tests of the store."""

from __future__ import annotations

from codeact_bot.ports import Store
from codeact_bot.types import (
    Author,
    CodeError,
    Completion,
    Ending,
    Execution,
    File,
    Incoming,
    Lease,
    Outcome,
    RunCode,
    Status,
    Step,
    ThreadId,
    Turn,
    Usage,
)

ANN = Author(id="U1", name="Ann")
BOB = Author(id="U2", name="Bob Day")
ONE, TWO = ThreadId("slack:T1:C1:1"), ThreadId("discord:2")
ANY = ("",)
MINUTE = 60.0
ANSWERED = Outcome(ending=Ending.ANSWERED, text="The mean is 4.")


def message(name: str = "e1", thread: ThreadId = ONE, text: str = "What is the mean?", author: Author = ANN, files: tuple[File, ...] = ()) -> Incoming:
    """A message from Ann."""
    return Incoming(id=name, thread=thread, author=author, text=text, files=files)


def step(index: int = 0, code: str = "mean(x)", *, execution: Execution | None = None) -> Step:
    """A step that is open without an execution."""
    completion = Completion(text=f"```python\n{code}\n```", usage=Usage(input_tokens=9, output_tokens=2, cost=0.01), model="m")
    return Step(index=index, completion=completion, action=RunCode(thought="Let me see.", code=code), execution=execution, observation="4")


def ran(output: str = "4\n", error: str = "") -> Execution:
    """An execution that printed, and failed with an error of that type where one is named."""
    failure = CodeError(type=error, message="went wrong", line=1) if error else None
    return Execution(status=Status.ERROR if error else Status.OK, output=output, error=failure, seconds=0.5)


async def claimed(store: Store, owner: str = "worker-1") -> Lease:
    """The lease of the thread that waits longest."""
    lease = await store.claim(owner, MINUTE, ANY)
    assert lease is not None
    return lease


async def begun(store: Store, incoming: Incoming | None = None) -> tuple[Lease, Turn]:
    """A turn that has just begun."""
    assert await store.push(incoming or message())
    lease = await claimed(store)
    return lease, await store.open_turn(lease)


async def answered(store: Store, incoming: Incoming, *steps: Step, outcome: Outcome = ANSWERED) -> Turn:
    """A turn that a worker took to its end."""
    lease, turn = await begun(store, incoming)
    for each in steps:
        await store.save_step(lease, turn.id, each)
    ended = await store.end_turn(lease, turn.id, outcome)
    await store.release(lease)
    return ended
