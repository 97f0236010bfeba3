"""Files on the person's own disk: a folder for each conversation, names that cannot leave it, links to click."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from rich.style import Style
from rich.text import Text

from adapters.render import clean, size_text
from codeact_bot.types import ThreadId

_UNFIT = re.compile(r"[^\w .()\[\]+,@=#%-]")
_LONGEST = 120


class Folder:
    """Where one conversation's files are saved."""

    def __init__(self, saved: Path, thread: ThreadId) -> None:
        self.path = saved / _part(thread.replace(":", "-"))

    def keep(self, name: str, data: bytes) -> Path:
        """Write a file under its own name, over an older one; `..`, absolute and odd names are tamed."""
        path = self.path.joinpath(*_parts(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def keep_new(self, name: str, data: bytes) -> Path:
        """Write a file under its own name, numbered where that is taken by other bytes."""
        wanted = self.path.joinpath(*_parts(name))
        path, number = wanted, 1
        while path.exists() and path.read_bytes() != data:
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


def _parts(name: str) -> list[str]:
    parts = [_part(part) for part in PurePosixPath(clean(name)).parts if part not in ("/", "//", "..", ".")]
    return parts or ["file"]


def _part(text: str) -> str:
    fit = _UNFIT.sub("_", text).strip()
    stem, dot, suffix = fit.rpartition(".")
    if len(fit.encode()) > _LONGEST:
        fit = f"{(stem or fit)[: _LONGEST // 4]}{dot}{suffix[:16]}"
    return fit if fit.strip(". ") else "file"


def link(path: Path, size: int | None = None) -> Text:
    """Show where a file is, clickable where the terminal can, with `~` for the home folder."""
    home = Path.home()
    shown = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    parts: list[tuple[str, Style]] = [(clean(shown), Style(color="cyan", link=path.absolute().as_uri()))]
    if size is not None:
        parts.append((f"  {size_text(size)}", Style(dim=True)))
    return Text.assemble(*parts, overflow="fold")
