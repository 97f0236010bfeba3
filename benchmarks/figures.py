"""The figures: each function measures one column of the table."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.subjects import Conversation, Ours, Start, Subject, memory_of

LABEL = "benchmark"
MEGABYTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One row of the table; milliseconds, megabytes, seconds."""

    name: str
    cold: float
    pooled: float | None
    warm: float
    warm95: float
    executions: int
    lost: int
    memory: tuple[float, float] | None
    printed: float
    loop: float
    kept: bool
    crowd: float


async def cold_starts(subjects: Sequence[Subject], starts: int) -> list[float]:
    """Median milliseconds of each subject's start to first result; they take turns, so that what else the machine does hits all alike."""
    times = [[await first_result(partial(subject.start, LABEL)) for subject in subjects] for _ in range(starts)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


async def measure(subject: Subject, cold: float, *, starts: int, executions: int) -> Figures:
    """Measure everything else, one thing after another."""
    pooled = await from_pool(subject, starts) if isinstance(subject, Ours) else None
    conversation = await subject.start(LABEL)
    try:
        await conversation.run("print(1)", 10)
        found = await asyncio.to_thread(memory_of, LABEL)
        times, lost = await warm(conversation, executions)
        printed = [await ten_megabytes(conversation) for _ in range(starts)]
        loop, kept = await endless_loop(conversation)
    finally:
        await conversation.aclose()
    return Figures(
        name=subject.name,
        cold=cold,
        pooled=pooled,
        warm=statistics.median(times),
        warm95=statistics.quantiles(times, n=20)[-1],
        executions=executions,
        lost=lost,
        memory=None if found is None else (found[0] / 2**20, found[1] / 2**20),
        printed=statistics.median(printed),
        loop=loop,
        kept=kept,
        crowd=statistics.median([await crowd(subject) for _ in range(3)]),
    )


async def first_result(start: Start) -> float:
    """Milliseconds from the wish for a sandbox to its first output."""
    began = time.perf_counter()
    conversation = await start()
    try:
        await expect(conversation, "print(6 * 7)", "42\n")
        return (time.perf_counter() - began) * 1000
    finally:
        await conversation.aclose()


async def from_pool(subject: Ours, starts: int) -> float:
    """Milliseconds from the wish for a sandbox to its first output, from a pool that is full."""
    times = []
    async with subject.pool(1) as (take, filled):
        for _ in range(starts):
            await filled()
            times.append(await first_result(take))
    return statistics.median(times)


async def warm(conversation: Conversation, executions: int) -> tuple[list[float], int]:
    """Milliseconds of each execution, and how many outputs were lost."""
    times, lost = [], 0
    for number in range(executions):
        began = time.perf_counter()
        output = await conversation.run(f"print({number})", 10)
        times.append((time.perf_counter() - began) * 1000)
        lost += output != f"{number}\n"
    return times, lost


async def ten_megabytes(conversation: Conversation) -> float:
    """Milliseconds until 10 MB of output are here, whole."""
    began = time.perf_counter()
    output = await conversation.run(f"print('x' * 99 + '\\n' * 1, end='')\nprint(('y' * 99 + '\\n') * {MEGABYTES * 10_000}, end='')", 10)
    spent = (time.perf_counter() - began) * 1000
    if len(output) != MEGABYTES * 1_000_000 + 100:
        raise RuntimeError(f"of 10 MB printed, {len(output)} bytes came")
    return spent


async def endless_loop(conversation: Conversation) -> tuple[float, bool]:
    """Seconds until an endless loop with a limit of 2 s is over, and whether variables survived."""
    await conversation.run("kept = 42", 10)
    began = time.perf_counter()
    await conversation.run("while True:\n    pass", 2)
    spent = time.perf_counter() - began
    return spent, await conversation.run("print(kept)", 10) == "42\n"


async def crowd(subject: Subject, people: int = 20) -> float:
    """Seconds for 20 conversations at once, a start and 10 executions each; removal is not counted."""
    began = time.perf_counter()
    conversations = await asyncio.gather(*(_talk(subject) for _ in range(people)))
    spent = time.perf_counter() - began
    await asyncio.gather(*(conversation.aclose() for conversation in conversations))
    return spent


async def _talk(subject: Subject) -> Conversation:
    conversation = await subject.start(LABEL)
    for number in range(10):
        await expect(conversation, f"print({number})", f"{number}\n")
    return conversation


async def expect(conversation: Conversation, code: str, output: str) -> None:
    """Run code that must print `output`."""
    found = await conversation.run(code, 10)
    if found != output:
        raise RuntimeError(f"{code} printed {found!r}")
