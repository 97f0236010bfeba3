"""What those who may see everything look up in the audit: the core's side of its pages."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from codeact_bot.ledgers import parquet, text
from codeact_bot.ports import Ledger
from codeact_bot.types import By, Query, RecordPage, RunPage, Total, Trail, Verdict
from codeact_bot.verify import walks

PIECE = 256 * 1024
"""Bytes of a file that are read at once."""


class StoreAuditing:
    """An Auditing on a store."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the store."""
        self._ledger = ledger

    async def search(self, query: Query) -> RunPage:
        """List runs, newest first. Raises QueryInvalid for a cursor that is none."""
        return await self._ledger.search(query)

    async def totals(self, query: Query, by: By) -> Sequence[Total]:
        """Add up the ended runs that a query finds."""
        return await self._ledger.totals(query, by)

    async def records(self, trail: Trail) -> RecordPage:
        """List records, newest first. Raises QueryInvalid for a cursor that is none."""
        return await self._ledger.records(trail)

    def verify(self) -> AsyncGenerator[int | Verdict]:
        """Walk along the chain: how many records were looked at, again and again, and in the end what was found."""
        return walks(self._ledger)

    async def runs_file(self, query: Query, kind: str) -> AsyncGenerator[bytes]:
        """Write all runs that a query finds as `csv`, `jsonl` or `parquet`, piece by piece. Raises ConfigurationInvalid without pyarrow."""
        if kind != "parquet":
            async with aclosing(text(self._ledger, query, kind)) as lines:
                async for line in lines:
                    yield line.encode("utf-8", "replace")
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "runs.parquet"
            await parquet(self._ledger, query, path)
            with path.open("rb") as file:
                while piece := await asyncio.to_thread(file.read, PIECE):
                    yield piece
