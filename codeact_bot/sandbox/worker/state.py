"""Saving and bringing back the state of a session: variables, definitions, the working folder.

A snapshot is two lengths, a JSON document (definitions), a pickle (variables) and a tar (working folder), zlib-compressed as a whole.
"""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import struct
import tarfile
import types
import zlib
from typing import Any, Callable

from .frames import CHUNK

LENGTHS = struct.Struct(">QQ")
NAMES = 200
LEVEL = 1
"""Of zlib: fast rather than small."""


class TooLarge(Exception):
    """The snapshot grows beyond its limit."""


class Bounded(io.RawIOBase):
    """Collects bytes up to a limit. Raises TooLarge."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Keep a copy of the data."""
        piece = bytes(data)
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        self.parts.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return how much was written."""
        return self._size


def save(space: dict[str, Any], definitions: dict[str, ast.stmt], limit: int, send: Callable[[bytes], None]) -> bytes:
    """Send the state piece by piece; returns the report {names, dropped} or {error}.

    `limit` bounds the bytes sent; before compression variables and files may have four times as many each.
    """
    try:
        variables, kept, dropped = _pickle(_variables(space), 4 * limit)
        sources = [ast.unparse(node) for name, node in definitions.items() if _current(space, name, node)]
        sources = [_import(name, value) for name, value in space.items() if type(value) is types.ModuleType] + sources
        defined = [name for name, node in definitions.items() if not isinstance(node, (ast.Import, ast.ImportFrom)) and name in space]
        missing = [name for name in _definable(space) if name not in defined]
        document = json.dumps(sources).encode()
        squeeze, size = zlib.compressobj(LEVEL), 0
        for part in [LENGTHS.pack(len(document), len(variables)), document, variables, *_tar(4 * limit), b""]:
            piece = squeeze.compress(part) if part else squeeze.flush()
            size += len(piece)
            if size > limit:
                raise TooLarge
            for start in range(0, len(piece), CHUNK):
                send(piece[start : start + CHUNK])
    except TooLarge:
        return json.dumps({"error": "it is larger than %d bytes." % limit}).encode()
    except Exception as exc:
        return json.dumps({"error": "%s: %s" % (type(exc).__name__, exc)}).encode()
    return json.dumps({"names": sorted(kept + defined)[:NAMES], "dropped": sorted(dropped + missing)[:NAMES]}).encode()


def load(space: dict[str, Any], data: bytes, remember: Callable[[ast.stmt], None]) -> bytes:
    """Bring a state back; returns the report {failed} or {error}."""
    failed: list[str] = []
    try:
        plain = zlib.decompress(data)
        first, second = LENGTHS.unpack_from(plain)
        start = LENGTHS.size
        with tarfile.open(fileobj=io.BytesIO(plain[start + first + second :])) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter
            for member in archive.getmembers():
                archive.extract(member, ".")
        for source in json.loads(plain[start : start + first]):
            failed += _replay(space, source, remember)
        for name, piece in pickle.loads(plain[start + first : start + first + second]):
            try:
                space.update(pickle.loads(piece))
            except Exception:
                failed += name
    except Exception as exc:
        return json.dumps({"error": "%s: %s" % (type(exc).__name__, exc)}).encode()
    return json.dumps({"failed": sorted(failed)[:NAMES]}).encode()


def _replay(space: dict[str, Any], source: str, remember: Callable[[ast.stmt], None]) -> list[str]:
    """Run one definition; returns its name where that failed."""
    tree = ast.parse(source)
    try:
        exec(compile(tree, "<restored>", "exec"), space)
    except Exception:
        node = tree.body[0]
        return [getattr(node, "name", "") or source[:80]]
    remember(tree.body[0])
    return []


def _definable(space: dict[str, Any]) -> list[str]:
    """Return names of the functions and classes that were defined here; they are kept as source."""
    here = {name: value for name, value in space.items() if isinstance(value, (types.FunctionType, type)) and not name.startswith("_")}
    return [name for name, value in here.items() if value.__module__ == "__main__"]


def _variables(space: dict[str, Any]) -> dict[str, Any]:
    left_out = {*_definable(space), "display"}
    return {k: v for k, v in space.items() if not k.startswith("_") and k not in left_out and type(v) is not types.ModuleType}


def _current(space: dict[str, Any], name: str, node: ast.stmt) -> bool:
    """Whether a definition still stands: its name may mean something else by now, or nothing."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    return callable(space.get(name))


def _import(name: str, module: types.ModuleType) -> str:
    return "import %s" % name if module.__name__ == name else "import %s as %s" % (module.__name__, name)


def _pickle(variables: dict[str, Any], limit: int) -> tuple[bytes, list[str], list[str]]:
    """Pickle together what can be pickled, so that shared objects stay shared; returns also the names kept and dropped."""
    try:
        together = _dump(variables, limit)
        dropped: list[str] = []
    except TooLarge:
        raise
    except Exception:
        good = {name: value for name, value in variables.items() if _picklable(value, limit)}
        dropped = [name for name in variables if name not in good]
        variables, together = good, _dump(good, limit)
    return pickle.dumps([(list(variables), together)]), list(variables), dropped


def _dump(value: object, limit: int) -> bytes:
    out = Bounded(limit)
    pickle.Pickler(out, 4).dump(value)
    return b"".join(out.parts)


def _picklable(value: object, limit: int) -> bool:
    try:
        pickle.loads(_dump(value, limit))
    except TooLarge:
        raise
    except Exception:
        return False
    return True


def _tar(limit: int) -> list[bytes]:
    """Return the working folder's folders and regular files as the parts of a tar."""
    out = Bounded(limit)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(os.listdir(".")):
            archive.add(name, filter=_wanted)
    return out.parts


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Take folders and regular files; hidden ones and __pycache__ do not count."""
    name = member.name.rpartition("/")[2]
    return None if name.startswith(".") or name == "__pycache__" or not (member.isreg() or member.isdir()) else member
