"""What a step shows besides its output: its value, tables, images."""

from __future__ import annotations

import io
import json
import sys

from .frames import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CELL = 200
"""Characters of one table cell."""
TABLE_TEXT = 4 * 1024 * 1024
"""Characters of all tables of one step."""
DPI = 120


class Shown:
    """Collects for one step; `limits` has the bounds that the host sent with the code."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self._limits = limits
        self.images: list[bytes] = []
        self._tables: list[dict[str, object]] = []
        self._notes: list[str] = []
        self._text: str | None = None
        self._room = TABLE_TEXT

    def result(self, error: dict[str, object] | None) -> bytes:
        """Return everything but the images, for the host."""
        return json.dumps({"value": self._text, "error": error, "tables": self._tables, "notes": self._notes}).encode()

    def value(self, value: object) -> None:
        """Show the last expression's value."""
        text = self.rich(value)
        if text is None:
            return
        data, limit = text.encode("utf-8", "replace"), self._limits["value"]
        if len(data) > limit:
            self._note("The value's text was cut: of its %s the first %s are kept." % (size_text(len(data)), size_text(limit)))
        self._text = data[:limit].decode("utf-8", "ignore")

    def rich(self, value: object) -> str | None:
        """Keep the table or image that `value` is; returns its text, None where an image says it all."""
        kind = type(value)
        if kind.__name__ in ("DataFrame", "Series") and kind.__module__.split(".")[0] in ("pandas", "polars"):
            self._table(value)
            return str(value)
        draw = getattr(kind, "_repr_png_", None)
        picture = draw(value) if callable(draw) else None
        if isinstance(picture, bytes):
            self._image(picture)
            return None
        return repr(value)

    def figures(self) -> None:
        """Turn matplotlib's open figures into PNGs and close them."""
        plot = sys.modules.get("matplotlib.pyplot")
        if plot is None or not hasattr(plot, "get_fignums"):
            return
        try:
            for number in plot.get_fignums()[: self._limits["images"] + 1]:
                buffer = io.BytesIO()
                plot.figure(number).savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
                self._image(buffer.getvalue())
        finally:
            plot.close("all")

    def _image(self, picture: bytes) -> None:
        most, limit = self._limits["images"], self._limits["image_bytes"]
        if len(self.images) >= most:
            self._note("Only the first %d images are kept." % most)
        elif len(picture) > limit:
            self._note("An image of %s was left out: the limit is %s." % (size_text(len(picture)), size_text(limit)))
        else:
            self.images.append(picture)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _table(self, value: Any) -> None:
        """Keep the first rows and columns of a table from pandas or polars."""
        if len(self._tables) >= self._limits["tables"]:
            self._note("Only the first %d tables are kept." % self._limits["tables"])
            return
        frame = value.to_frame() if type(value).__name__ == "Series" else value
        rows, columns = frame.shape
        pandas = hasattr(frame, "iloc")
        part = (frame.iloc if pandas else frame)[: self._limits["rows"], : self._limits["columns"]]
        heads = [_cell(head) for head in part.columns]
        lines = [[_cell(item) for item in row] for row in (part.itertuples(index=False, name=None) if pandas else part.rows())]
        if pandas and not _plain(part.index):
            heads.insert(0, _cell(part.index.name or ""))
            lines = [[_cell(label), *line] for label, line in zip(part.index, lines)]
            columns += 1
        self._room -= sum(len(item) for line in lines for item in line)
        if self._room < 0:
            self._note("A table was left out: the tables of this step are too large together.")
            return
        self._tables.append({"columns": heads, "rows": lines, "total_rows": rows, "total_columns": columns})


def _plain(index: Any) -> bool:
    """Whether a pandas index is only the row's number."""
    return type(index).__name__ == "RangeIndex" and index.name is None


def _cell(value: object) -> str:
    text = "%.6g" % value if isinstance(value, float) else str(value)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"
