"""Markdown that Discord does not know, in its own: tables become aligned code."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from rich.cells import cell_len

from adapters.common.tables import WIDEST, aligned
from adapters.render import clean, columns_that_fit
from codeact_bot.types import Table

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def with_code_tables(text: str, width: int) -> str:
    """Replace tables by code blocks of at most `width` cells; one that is too wide becomes a list, so that nothing is left out."""
    text = clean(text)
    lines = text.split("\n")
    for node in reversed(SyntaxTreeNode(_PARSER.parse(text)).children):
        if node.type == "table" and node.map:
            start, end = node.map
            lines[start:end] = _shown(node, width)
    return "\n".join(lines)


def _shown(node: SyntaxTreeNode, width: int) -> list[str]:
    columns, *rows = [tuple(_plain(cell) for cell in row.children) for part in node.children for row in part.children]
    table = Table(columns=columns, rows=tuple(rows), total_rows=len(rows), total_columns=len(columns))
    narrow = all(cell_len(cell) <= WIDEST for row in (columns, *rows) for cell in row)
    if narrow and columns_that_fit(table, width) == len(columns):
        return ["```", *aligned(table, width).replace("```", "'''").split("\n"), "```"]
    return ["- " + "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(columns, row, strict=True)) for row in rows]


def _plain(node: SyntaxTreeNode) -> str:
    """Return the text of a cell, and where its links lead."""
    if node.type in ("link", "image"):
        address = str(node.attrs.get("href") or node.attrs.get("src") or "")
        label = "".join(map(_plain, node.children))
        return address if label in ("", address) else f"{label} ({address})"
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(map(_plain, node.children)) if node.children else node.content
