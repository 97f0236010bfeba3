"""Markdown as Slack blocks. Their texts are literal: nothing in them is parsed, so nothing can ping, unfurl or escape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from adapters.common.neutral import is_disguise, is_web
from adapters.common.tables import is_numeric
from adapters.render import clean

Block = dict[str, Any]
Style = dict[str, bool]

ROWS, COLUMNS = 100, 20
"""Rows, the header included, and columns of a table block at most."""
TABLE_TEXT = 8_000
"""Characters in the cells of a table block; Slack takes 10,000 in a message."""
DEEPEST = 8
"""Indentation of a list at most."""
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_ALIASES = {"py": "python", "python3": "python", "js": "javascript", "ts": "typescript", "sh": "bash"}
_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}


def blocks(text: str) -> list[Block]:
    """Convert Markdown to rich text, table and divider blocks."""
    found: list[Block] = []
    for node in SyntaxTreeNode(_PARSER.parse(clean(text))).children:
        if node.type == "hr":
            found.append({"type": "divider"})
        elif node.type == "table":
            found.append(_table(node))
        else:
            _extend(found, list(_elements(node, 0)))
    return found


def preformatted(text: str, language: str = "") -> Block:
    """Return a block of literal text in a fixed-width font, highlighted where it has a language."""
    return rich([_pre(text, language)])


def rich(elements: list[Block]) -> Block:
    """Return a block of rich text."""
    return {"type": "rich_text", "elements": elements}


def table(rows: Sequence[Sequence[str]]) -> Block:
    """Return a table block of the first rows and columns that Slack takes; the first row is the header."""
    width = min(COLUMNS, len(rows[0]))
    kept: list[list[str]] = []
    used = 0
    for row in rows[:ROWS]:
        cells = [clean(cell).strip()[:500] for cell in row[:width]]
        used += sum(map(len, cells))
        if kept and used > TABLE_TEXT:
            break
        kept.append(cells)
    right = [is_numeric([row[index] for row in kept[1:]]) for index in range(width)]
    return {
        "type": "table",
        "rows": [[{"type": "raw_text", "text": cell or "\u00a0"} for cell in row] for row in kept],
        "column_settings": [{"align": "right" if each else "left", "is_wrapped": True} for each in right],
    }


def _extend(found: list[Block], elements: list[Block]) -> None:
    """Add elements to the last rich text block; paragraphs that follow each other become one with an empty line between."""
    if not elements:
        return
    if not found or found[-1]["type"] != "rich_text":
        found.append(rich([]))
    into: list[Block] = found[-1]["elements"]
    for element in elements:
        if into and into[-1]["type"] == element["type"] == "rich_text_section":
            into[-1]["elements"] += [{"type": "text", "text": "\n\n"}, *element["elements"]]
        else:
            into.append(element)


def _elements(node: SyntaxTreeNode, indent: int) -> Iterator[Block]:
    match node.type:
        case "heading":
            yield from _section(_inline(node.children, {"bold": True}))
        case "paragraph":
            yield from _section(_inline(node.children, {}))
        case "fence" | "code_block":
            if node.content.strip():
                yield _pre(node.content, node.info)
        case "bullet_list" | "ordered_list":
            yield from _list(node, indent)
        case "blockquote":
            yield from _quote(node)
        case "table":
            yield _pre(_plain(node))
        case _:
            yield from _section([_text(_plain(node), {})])


def _section(parts: list[Block]) -> Iterator[Block]:
    if parts:
        yield {"type": "rich_text_section", "elements": parts}


def _pre(text: str, language: str = "") -> Block:
    named = {"language": _ALIASES.get(language.lower(), language.lower())} if re.fullmatch(r"[\w+#-]{1,20}", language) else {}
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": clean(text).strip("\n") or " "}], **named}


def _list(node: SyntaxTreeNode, indent: int) -> Iterator[Block]:
    style = "ordered" if node.type == "ordered_list" else "bullet"
    number = int(node.attrs.get("start", 1)) if style == "ordered" else 1
    items: list[Block] = []
    first = number

    def collected() -> Iterator[Block]:
        if items:
            offset = {"offset": first - 1} if style == "ordered" and first > 1 else {}
            yield {"type": "rich_text_list", "style": style, "indent": min(indent, DEEPEST), "elements": list(items), **offset}

    for item in node.children:
        children = list(item.children)
        text = children.pop(0) if children and children[0].type in ("paragraph", "heading") else None
        items.append({"type": "rich_text_section", "elements": (_inline(text.children, {}) if text else []) or [{"type": "text", "text": " "}]})
        number += 1
        if children:
            yield from collected()
            items.clear()
            first = number
            for child in children:
                yield from _elements(child, indent + 1)
    yield from collected()


def _quote(node: SyntaxTreeNode) -> Iterator[Block]:
    parts: list[Block] = []
    for child in node.children:
        if child.type in ("paragraph", "heading"):
            parts += [*([_text("\n", {})] if parts else []), *_inline(child.children, {})]
        else:
            if parts:
                yield {"type": "rich_text_quote", "elements": parts}
                parts = []
            yield from _elements(child, 0)
    if parts:
        yield {"type": "rich_text_quote", "elements": parts}


def _inline(nodes: Iterable[SyntaxTreeNode], style: Style) -> list[Block]:
    parts: list[Block] = []
    for node in nodes:
        match node.type:
            case "inline":
                parts += _inline(node.children, style)
            case "text" if node.content:
                parts.append(_text(node.content, style))
            case "code_inline" if node.content:
                parts.append(_text(node.content, {**style, "code": True}))
            case "softbreak" | "hardbreak":
                parts.append(_text("\n", style))
            case "strong" | "em" | "s":
                parts += _inline(node.children, {**style, _STYLES[node.type]: True})
            case "link" | "image":
                parts.append(_link(node, style))
            case _ if node.content:
                parts.append(_text(node.content, style))
    return parts


def _link(node: SyntaxTreeNode, style: Style) -> Block:
    address = clean(str(node.attrs.get("href") or node.attrs.get("src") or ""))
    label = clean(_plain(node)) or address
    if not is_web(address):
        return _text(f"{label} ({address})" if label != address else label, style)
    shown = f"{label} ({address})" if is_disguise(label, address) else label
    return {"type": "link", "url": address, "text": shown, **({"style": style} if style else {})}


def _text(text: str, style: Style) -> Block:
    # Entities such as &#x202e; are characters only after parsing.
    return {"type": "text", "text": clean(text) or "\u00a0", **({"style": style} if style else {})}


def _plain(node: SyntaxTreeNode) -> str:
    if node.type == "tr":
        return " | ".join(_plain(child) for child in node.children)
    if node.type in ("thead", "tbody", "table"):
        return "\n".join(_plain(child) for child in node.children)
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(_plain(child) for child in node.children) if node.children else node.content


def _table(node: SyntaxTreeNode) -> Block:
    return table([[_plain(cell) for cell in row.children] for part in node.children for row in part.children])
