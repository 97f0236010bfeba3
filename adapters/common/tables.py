"""Tables as aligned text and as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from adapters.render import columns_that_fit, one_line
from codeact_bot.types import File, Table

WIDEST = 32
"""Cells of a column, at most."""
NUMBER = re.compile(r"[-+−]?[$€£]?\d[\d,.]*(e[-+]?\d+)?%?|nan|none|<na>|", re.IGNORECASE)


def aligned(table: Table, width: int) -> str:
    """Write a table in lines of at most `width` cells, numbers to the right; columns that do not fit are counted."""
    shown = columns_that_fit(table, width, widest=WIDEST)
    columns = [_column(table, index) for index in range(shown)]
    rows = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    rule = "  ".join("─" * cell_len(column[0]) for column in columns)
    lines = [rows[0], rule, *rows[1:]]
    hidden = table.total_columns - shown
    if hidden > 0:
        lines.append(f"… and {hidden:,} more column{'s' if hidden > 1 else ''}")
    return "\n".join(lines)


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers."""
    return any(cells) and all(NUMBER.fullmatch(cell.strip()) for cell in cells)


def _column(table: Table, index: int) -> list[str]:
    cells = [one_line(row[index], WIDEST) for row in table.rows]
    head = one_line(table.columns[index], WIDEST)
    width = min(WIDEST, max(cell_len(cell) for cell in [head, *cells]))
    right = is_numeric(cells)
    return [_fit(cell, width, right=right) for cell in [head, *cells]]


def _fit(cell: str, width: int, *, right: bool) -> str:
    used = cell_len(cell)
    if used > width:
        return set_cell_size(cell, width - 1) + "…"
    return " " * (width - used) + cell if right else cell + " " * (width - used)


def csv_file(table: Table, name: str) -> File:
    """Write the rows that came back as CSV (RFC 4180), for spreadsheets."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return File.of(name, text.getvalue().encode("utf-8-sig", "replace"))
