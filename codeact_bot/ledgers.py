"""Runs as CSV, JSON Lines or Parquet, page by page, however many there are."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.ports import Ledger
from codeact_bot.types import Query, Run

PAGE = 500
FORMATS = ("csv", "jsonl", "parquet")
COLUMNS = (
    "turn", "thread", "platform", "channel", "person", "name", "question", "started", "ended",
    "status", "errors", "model", "steps", "repairs", "seconds", "tokens", "cost",
)  # fmt: skip
NO_PARQUET = "Parquet needs pyarrow: pip install 'codeact-bot[parquet]'."
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would take for a formula."""


async def pages(ledger: Ledger, query: Query) -> AsyncGenerator[tuple[Run, ...]]:
    """Return all runs that a query finds, whatever its limit, newest first."""
    while True:
        page = await ledger.search(replace(query, limit=PAGE))
        yield page.runs
        if not page.cursor:
            return
        query = replace(query, cursor=page.cursor)


def row(run: Run) -> dict[str, Any]:
    """Return a run as a row of a table."""
    given = {name: getattr(run, name) for name in COLUMNS if hasattr(run, name)}
    made = {"platform": run.thread.partition(":")[0], "person": run.author.id, "name": run.author.name, "status": str(run.ending or "open")}
    return {name: (given | made)[name] for name in COLUMNS}


async def text(ledger: Ledger, query: Query, kind: str) -> AsyncGenerator[str]:
    """Write runs as `csv` or `jsonl`, a page at a time."""
    first = True
    async with aclosing(pages(ledger, query)) as found:
        async for runs in found:
            yield _csv(runs, head=first) if kind == "csv" else "".join(f"{json.dumps(_plain(run), ensure_ascii=False)}\n" for run in runs)
            first = False


def _csv(runs: tuple[Run, ...], *, head: bool) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines)
    if head:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _plain(run).values()] for run in runs)
    return lines.getvalue()


def _plain(run: Run) -> dict[str, Any]:
    found = row(run)
    times = {name: found[name].isoformat() if found[name] else None for name in ("started", "ended")}
    return found | times | {"errors": list(run.errors)}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = ", ".join(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


async def parquet(ledger: Ledger, query: Query, path: Path) -> None:
    """Write runs as Parquet, in a thread of its own. Raises ConfigurationInvalid without pyarrow."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "parquet") as thread:
        writer = _Parquet(path)
        try:
            await loop.run_in_executor(thread, writer.begin)
            async with aclosing(pages(ledger, query)) as found:
                async for runs in found:
                    await loop.run_in_executor(thread, writer.write, runs)
        finally:
            await asyncio.shield(loop.run_in_executor(thread, writer.close))


class _Parquet:
    """A file of runs."""

    def __init__(self, path: Path) -> None:
        """Choose its place."""
        self._path = path
        self._file: Any = None

    def begin(self) -> None:
        """Begin the file. Raises ConfigurationInvalid without pyarrow."""
        try:
            import pyarrow as arrow
            from pyarrow import parquet as files
        except ImportError:
            raise ConfigurationInvalid(NO_PARQUET) from None
        self._table, self._schema = arrow.Table, _schema(arrow)
        self._file = files.ParquetWriter(self._path, self._schema)

    def write(self, runs: Sequence[Run]) -> None:
        """Add some runs."""
        self._file.write_table(self._table.from_pylist([row(run) for run in runs], schema=self._schema))

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()


def _schema(arrow: Any) -> Any:
    kinds = {"started": arrow.timestamp("ms", "UTC"), "ended": arrow.timestamp("ms", "UTC"), "errors": arrow.list_(arrow.string())}
    kinds |= dict.fromkeys(("steps", "repairs", "tokens"), arrow.int64()) | dict.fromkeys(("seconds", "cost"), arrow.float64())
    return arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
