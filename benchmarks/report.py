"""The table of figures, for people and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figures

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEAD = (
    "sandbox",
    "start to first result",
    "from the pool",
    "warm execution, median / p95",
    "outputs lost",
    "idle memory: all / anonymous",
    "10 MB printed",
    "endless loop, 2 s limit",
    "20 conversations at once",
)


def table(rows: Sequence[Figures], peers: Sequence[tuple[str, ...]] = ()) -> str:
    """Return the rows as a Markdown table; ratios are to the limit with the same runtime. Lines of peers come ready made."""
    lines = [HEAD, ("---",) * len(HEAD), *(_cells(row, _limit(row, rows)) for row in rows), *peers]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(text: str, begin: str = BEGIN, end: str = END) -> None:
    """Put a table into docs/benchmarks.md, between two marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _limit(row: Figures, rows: Sequence[Figures]) -> Figures:
    runtime = row.name.rpartition("(")[2]
    return next((other for other in rows if other.name.startswith("limit") and other.name.endswith(runtime)), row)


def _cells(row: Figures, limit: Figures) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.cold:.0f} ms{_ratio(row.cold, limit.cold)}",
        "–" if row.pooled is None else f"{row.pooled:.1f} ms",
        f"{row.warm:.2f} / {row.warm95:.2f} ms",
        f"{row.lost} of {row.executions:,}",
        "–" if row.memory is None else f"{row.memory[0]:.1f} / {row.memory[1]:.1f} MiB",
        f"{row.printed:.0f} ms",
        f"{row.loop:.3f} s, state {'kept' if row.kept else 'lost'}",
        f"{row.crowd:.1f} s{_ratio(row.crowd, limit.crowd)}",
    )


def _ratio(value: float, limit: float) -> str:
    return "" if value is limit else f" ({value / limit:.2f} ×)"
