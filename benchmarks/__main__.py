"""`python -m benchmarks [--quick] [--image TAG] [--peers PYTHON] [--write]`: measure the limit and ours in one run and print them side by side."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from benchmarks import report, rivals
from benchmarks.figures import Figures, cold_starts, measure
from benchmarks.subjects import Bare, Subject, prepared, process
from codeact_bot.errors import CodeactError


async def main() -> None:
    """Measure, print, and write where asked to."""
    asked = _arguments()
    size = {"starts": 5, "executions": 1000} if asked.quick else {"starts": 15, "executions": 10_000}
    rows: list[Figures] = []
    for runtime in (None, "runsc"):
        try:
            ours = await prepared(asked.image, runtime)
        except CodeactError as error:
            print(f"Not measured: {error}")
            continue
        rows += await _rows([Bare(ours.sandbox.image, runtime), ours], size)
    rows += await _rows([await process()], size)
    peers = [await _peer(asked.peers, name) for name in rivals.NAMES] if asked.peers else []
    text = report.table(rows, peers)
    print(text)
    if asked.write:
        report.write(text)


async def _rows(subjects: Sequence[Subject], size: dict[str, int]) -> list[Figures]:
    print(f"measuring {', '.join(subject.name for subject in subjects)} …", flush=True)
    try:
        cold = await cold_starts(subjects, size["starts"])
        return [await measure(subject, first, **size) for subject, first in zip(subjects, cold, strict=True)]
    finally:
        for subject in subjects:
            await subject.aclose()


async def _peer(python: str, name: str) -> tuple[str, ...]:
    print(f"measuring {rivals.NAMES[name]} …", flush=True)
    return await rivals.row(python, name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the sandboxes beside the bare limit.")
    parser.add_argument("--quick", action="store_true", help="few repetitions, below a minute")
    parser.add_argument("--image", default="", help="the image to use instead of the project's own")
    parser.add_argument("--peers", default="", metavar="PYTHON", help="measure other projects' sandboxes, too; see benchmarks/with-peers")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
