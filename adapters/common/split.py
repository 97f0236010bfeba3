"""Markdown in pieces that a platform takes: fences stay closed, tables keep their header, words stay whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Length = Callable[[str], int]

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^`\n]*)$")
_RULE = re.compile(r"^\s*\|?\s*:?-{1,}:?\s*(\|\s*:?-{1,}:?\s*)*\|?\s*$")
_LANGUAGE = 20
"""Characters of a fence's language that are repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    lines: list[str]
    head: str = ""
    """What each part of the block begins with: the fence's first line, the table's header."""
    tail: str = ""
    """What each part ends with: the closing fence."""

    @property
    def text(self) -> str:
        return "\n".join([*filter(None, [self.head]), *self.lines, *filter(None, [self.tail])])


def split(text: str, limit: int, length: Length = len) -> list[str]:
    """Cut Markdown into pieces of at most `limit` (at least 80) by `length`.

    A piece ends between paragraphs where it can, else between lines, else between words. A fence that is cut is closed and opened again; a
    table that is cut repeats its header. Nothing is lost but white space between pieces.
    """
    assert limit >= 80
    pieces: list[str] = []
    current = ""
    for block in _blocks(text):
        joined = f"{current}\n{block.text}" if current else block.text
        if length(joined) <= limit:
            current = joined
            continue
        if current.strip():
            pieces.append(current)
        *full, current = _parts(block, limit, length)
        pieces += full
    pieces.append(current)
    return [piece.strip("\n") for piece in pieces if piece.strip()]


def head_tail(text: str, limit: int, lines: int = 0) -> tuple[str, int]:
    """Return the first and last lines of a text in about `limit` characters, and how many characters were left out between them.

    At most `lines` of them, where that is not 0: a post of short lines would be as high as a wall.
    """
    many = bool(lines) and text.rstrip("\n").count("\n") >= lines
    if len(text) <= limit and not many:
        return text, 0
    if many:
        ends = [found.start() for found in re.finditer("\n", text.rstrip("\n"))]
        return _joined(text, min(limit // 2, ends[lines // 2 - 1]), min(limit - limit // 2, len(text) - ends[-(lines - lines // 2)] - 1))
    return _joined(text, limit // 2, limit - limit // 2)


def _joined(text: str, first: int, last: int) -> tuple[str, int]:
    """Return so many of the first and the last characters, whole lines where those are not too long."""
    head, tail = text[:first], text[-last:]
    head = head[: head.rfind("\n")] if text[first] != "\n" and "\n" in head[first // 2 :] else head
    tail = tail[tail.find("\n") + 1 :] if text[-last - 1] != "\n" and "\n" in tail[: last // 2] else tail
    cut = len(text) - len(head) - len(tail)
    return f"{head}\n… {cut:,} characters left out …\n{tail}", cut


def _blocks(text: str) -> Iterator[_Block]:
    """Yield fences, tables and paragraphs; blank lines belong to the paragraph before them."""
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        fence = _FENCE.match(lines[index])
        if fence:
            end = _closing(lines, index, fence[1])
            yield _Block(head=fence[1] + fence[2].strip()[:_LANGUAGE], lines=lines[index + 1 : end], tail=fence[1])
            index = end + 1
        elif "|" in lines[index] and index + 1 < len(lines) and "-" in lines[index + 1] and _RULE.match(lines[index + 1]):
            end = index + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield _Block(head="\n".join(lines[index : index + 2]), lines=lines[index + 2 : end])
            index = end
        else:
            end = index + 1
            while end < len(lines) and not _FENCE.match(lines[end]) and (lines[end - 1].strip() or not lines[end].strip()) and "|" not in lines[end]:
                end += 1
            yield _Block(lines=lines[index:end])
            index = end


def _closing(lines: list[str], start: int, fence: str) -> int:
    """Return the index of the line that closes a fence; the end where none does."""
    for index in range(start + 1, len(lines)):
        line = lines[index].strip()
        if line and set(line) == {fence[0]} and len(line) >= len(fence):
            return index
    return len(lines)


def _parts(block: _Block, limit: int, length: Length) -> list[str]:
    """Cut one block; each part carries the block's head and tail."""
    if length(block.text) <= limit:
        return [block.text]
    head, tail = block.head, block.tail
    if length(head) + length(tail) > limit // 2:
        lines, head, tail = [*head.split("\n"), *block.lines], "", ""
    else:
        lines = block.lines
    room = limit - sum(length(each) + 1 for each in (head, tail) if each)
    parts: list[list[str]] = [[]]
    used = 0
    for line in (piece for whole in lines for piece in _words(whole, room, length)):
        size = length(line) + (1 if parts[-1] else 0)
        if parts[-1] and used + size > room:
            parts.append([])
            used, size = 0, length(line)
        parts[-1].append(line)
        used += size
    return [_Block(head=head, lines=part, tail=tail).text for part in parts]


def _words(line: str, room: int, length: Length) -> Iterator[str]:
    """Cut a line between words, and a word that is too long anywhere."""
    while length(line) > room:
        end = _fitting(line, room, length)
        space = line.rfind(" ", 1, end + 1)
        cut = space if space > 0 and line[:space].strip() else end
        yield line[:cut]
        line = line[cut + 1 :] if cut == space else line[cut:]
    yield line


def _fitting(line: str, room: int, length: Length) -> int:
    """Return how many of the first characters fit."""
    low, high = 1, min(len(line), room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if length(line[:middle]) <= room else (low, middle - 1)
    return low
