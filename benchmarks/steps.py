"""A whole step without the model, its database writes included: `python -m benchmarks.steps [--image TAG]`. Needs Docker and a mongod."""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path

from codeact_bot import Agent, DockerSandbox, ScriptedModel
from codeact_bot.app import quiet
from codeact_bot.store.embedded import EmbeddedMongo
from codeact_bot.types import Limits, StepDone

STEPS = 200


async def main(image: str) -> None:
    replies = [f"```python\nprint({number})\n```" for number in range(STEPS)]
    sandbox = DockerSandbox(image=image)
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedMongo(Path(folder), quiet) as url:
            model = ScriptedModel([*replies, "Done."])
            async with Agent(model=model, sandbox=sandbox, store=url, limits=Limits(steps=STEPS + 1)) as agent:
                ends = [time.perf_counter() async for event in agent.stream("Go.") if isinstance(event, StepDone)]
    await sandbox.aclose()
    spans = sorted(1000 * (later - earlier) for earlier, later in itertools.pairwise(ends))
    middle, late = statistics.median(spans), spans[int(len(spans) * 0.95)]
    print(f"a step with its database writes: {middle:.1f} ms median, {late:.1f} ms p95, {len(spans)} steps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="")
    asyncio.run(main(parser.parse_args().image))
