"""Files on the person's own disk: a folder for each conversation, names that cannot leave it, links to click; and what they name or drop."""

from __future__ import annotations

import re
import shlex
from pathlib import Path, PurePosixPath

from rich.style import Style
from rich.text import Text

from adapters.render import clean, size_text
from codeact_bot.errors import FileRefused
from codeact_bot.types import Bounds, File, ThreadId

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


def dropped(text: str) -> Path | None:
    """Return the file that a terminal typed when it was dropped on the window: one absolute path, quoted or escaped."""
    if not text.startswith(("/", "~", "'", '"')) or "\n" in text:
        return None
    try:
        words = shlex.split(text)
        path = Path(words[0]).expanduser() if len(words) == 1 else None
        return path if path is not None and path.is_absolute() and path.is_file() else None
    except (ValueError, OSError, RuntimeError):
        return None


def read(text: str) -> File:
    """Read the file that somebody named. Raises FileRefused where there is none, or it is too large."""
    path = next((path for path in (_path(text), Path(text).expanduser()) if path.is_file()), None)
    if path is None:
        raise FileRefused(f"There is no file {text}.")
    most = Bounds().file_bytes
    if path.stat().st_size > most:
        raise FileRefused(f"{path.name} has {size_text(path.stat().st_size)}; at most {size_text(most)} can be sent.")
    return File.of(path.name, path.read_bytes())


def _path(text: str) -> Path:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    return Path(words[0] if len(words) == 1 else text).expanduser()


def write(text: str, name: str, data: bytes) -> Path:
    """Write a file where somebody wants it, under its own name into a folder. Raises FileRefused where there is one."""
    path = Path(text).expanduser()
    if path.is_dir():
        path /= name
    if path.exists():
        raise FileRefused(f"{path} exists already; give another name.")
    path.write_bytes(data)
    return path
