"""A whole step without the model, its database writes included; a part of `python -m benchmarks.state`."""

from __future__ import annotations

import itertools
import statistics
import time

from codeact_bot import Agent, ScriptedModel
from codeact_bot.ports import Sandbox
from codeact_bot.types import Limits, StepDone

STEPS = 200


async def steps(sandbox: Sandbox, url: str) -> tuple[float, float]:
    """Milliseconds from the end of one step to that of the next: the median and the 95th percentile."""
    model = ScriptedModel([*(f"```python\nprint({number})\n```" for number in range(STEPS)), "Done."])
    async with Agent(model=model, sandbox=sandbox, store=url, limits=Limits(steps=STEPS + 1)) as agent:
        ends = [time.perf_counter() async for event in agent.stream("Go.") if isinstance(event, StepDone)]
    spans = [1000 * (later - earlier) for earlier, later in itertools.pairwise(ends)]
    return statistics.median(spans), statistics.quantiles(spans, n=20)[-1]
