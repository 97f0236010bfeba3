"""Saving and bringing back the state of a session: variables, definitions, the working folder.

A snapshot is a sequence of parts. The last one, the core, is two lengths, a JSON index, the pickle of the variables and the small files. Each
of the others is the data of an array or a large file: where that did not change, its digest is that of before, and it need not be sent again.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import mmap
import os
import pickle
import struct
import sys
import types
from typing import Any, Callable

from .frames import CHUNK
from .salvage import Salvage

try:
    from cloudpickle import CloudPickler as Pickler
except Exception:
    # Then closures, lambdas and classes that were made by code are named as not kept.
    Pickler = pickle.Pickler

LENGTHS = struct.Struct(">QQ")
NAMES = 200
WRITER = "python %d.%d, cloudpickle %s" % (*sys.version_info[:2], getattr(sys.modules.get("cloudpickle"), "__version__", "missing"))
"""Code goes only between the same versions of both (cloudpickle's documentation)."""
LARGE = 64 * 1024
"""Bytes from which data is a part of its own."""
PARTS = 1000
"""Parts of one snapshot at most; further data becomes part of the core."""


DEFAULTS = "__codeact_defaults__"
"""Name under which the default values of functions travel among the variables: evaluated again, they might come out otherwise."""


class TooLarge(Exception):
    """The snapshot grows beyond its limit."""


class Parts:
    """The parts of a snapshot on their way to the host."""

    def __init__(self, limit: int, known: list[str], send: Callable[[Any], None]) -> None:
        self.left = limit
        self.report: list[tuple[int, str, bool]] = []
        self._known, self._send = set(known), send
        self._numbers: dict[str, int] = {}

    def add(self, data: Any) -> int:
        """Send data, unless the host has it already; returns the part's number. Raises TooLarge."""
        view = memoryview(data).cast("B")
        self.left -= len(view)
        if self.left < 0:
            raise TooLarge
        digest = hashlib.sha256(view).hexdigest()
        if digest not in self._numbers:
            self._numbers[digest] = len(self.report)
            self.report.append((len(view), digest, digest not in self._known))
            for start in range(0, len(view) if digest not in self._known else 0, CHUNK):
                self._send(view[start : start + CHUNK])
        return self._numbers[digest]

    def takes(self, size: int) -> bool:
        """Whether data of this size is to be a part of its own."""
        return size >= LARGE and len(self.report) < PARTS // 2


class Bounded:
    """Collects what a pickler writes. Raises TooLarge."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        """Keep a copy of the data."""
        piece = bytes(data)
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        self.pieces.append(piece)
        return len(piece)


class Namespace(dict):  # type: ignore[type-arg]
    """Stands for the namespace of the code inside a pickle, so that a restored closure sees the live one."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as a reference."""
        return namespace, ()


def namespace() -> dict[str, Any]:
    """Return the namespace of the code."""
    return sys.modules["__main__"].__dict__


class Saver(Pickler):  # type: ignore[misc]
    """Pickles definitions that are kept as source by their names, and the data of large arrays beside the pickle."""

    def __init__(self, out: Bounded, space: dict[str, Any], named: dict[int, str], aside: Callable[[pickle.PickleBuffer], bool]) -> None:
        super().__init__(out, protocol=5, buffer_callback=aside)
        self._named = named
        if Pickler is not pickle.Pickler:
            self.globals_ref[id(space)] = Namespace(__name__="__main__")

    def reducer_override(self, obj: Any) -> Any:
        """Say how to pickle what is not of a built-in type."""
        if id(obj) in self._named:
            return self._named[id(obj)]
        if Pickler is not pickle.Pickler:
            return super().reducer_override(obj)
        if isinstance(obj, (type, types.FunctionType)) and obj.__module__ == "__main__":
            raise pickle.PicklingError("its source is not known")
        return NotImplemented


def save(
    space: dict[str, Any], definitions: dict[str, ast.stmt], limit: int, known: list[str], send: Callable[[Any], None], seen: Callable[[], Any]
) -> bytes:
    """Send the parts that the host does not know; returns the report {names, dropped, parts: [[size, digest, sent]]} or {error}.

    `limit` bounds the bytes of all parts, sent or not; `seen` is called once the working folder is no longer looked at.
    """
    try:
        parts = Parts(limit, known, send)
        try:
            files, folders, small = _files(parts)
        finally:
            seen()
        current = {name: node for name, node in definitions.items() if _current(space, name, node)}
        defined = [name for name, node in current.items() if not isinstance(node, (ast.Import, ast.ImportFrom))]
        variables = {name: value for name, value in _variables(space).items() if name not in defined}
        variables[DEFAULTS] = {name: _defaults(space[name]) for name in defined if type(space[name]) is types.FunctionType}
        pickled, buffers, dropped = _pickle(variables, space, {id(space[name]): name for name in defined}, parts)
        sources = [_import(name, value) for name, value in space.items() if type(value) is types.ModuleType]
        sources += [ast.unparse(node) for node in current.values()]
        kept, dropped = (sorted({*names} - {DEFAULTS}) for names in ({*variables, *defined} - {*dropped}, dropped))
        index = json.dumps({"sources": sources, "names": kept, "buffers": buffers, "files": files, "folders": folders, "writer": WRITER}).encode()
        parts.add(b"".join([LENGTHS.pack(len(index), len(pickled)), index, pickled, *small]))
    except TooLarge:
        return json.dumps({"error": "it is larger than %d bytes." % limit}).encode()
    except Exception as exc:
        return json.dumps({"error": "%s: %s" % (type(exc).__name__, exc)}).encode()
    return json.dumps({"names": kept[:NAMES], "dropped": dropped[:NAMES], "parts": parts.report}).encode()


def load(space: dict[str, Any], parts: list[bytearray], remember: Callable[[ast.stmt], None]) -> bytes:
    """Bring a state back; returns the report {failed} or {error}."""
    failed: list[str] = []
    try:
        core = memoryview(parts[-1])
        first, second = LENGTHS.unpack_from(core)
        start = LENGTHS.size + first
        index = json.loads(bytes(core[LENGTHS.size : start]))
        _unpack(index, parts, core[start + second :])
        left = [source for source in index["sources"] if not _replay(space, source, remember)]
        foreign = index.get("writer") != WRITER
        space.update(_unpickle(core[start : start + second], [parts[number] for number in index["buffers"]], space, foreign))
        # A definition may need a variable, for a default value or a decorator.
        failed += [_name(source) for source in left if not _replay(space, source, remember)]
        failed += [name for name in index["names"] if name not in space]
        for name, values in space.pop(DEFAULTS, {}).items():
            if type(space.get(name)) is types.FunctionType:
                space[name].__defaults__, space[name].__kwdefaults__ = values
    except Exception as exc:
        return json.dumps({"error": "%s: %s" % (type(exc).__name__, exc)}).encode()
    return json.dumps({"failed": sorted({*failed})[:NAMES]}).encode()


def _unpickle(data: memoryview, buffers: list[bytearray], space: dict[str, Any], foreign: bool) -> dict[str, Any]:
    """Return the variables; where a library is missing here, or another Python wrote them, those that do without it, or without code of that."""
    try:
        if not foreign:
            return dict(pickle.loads(data, buffers=buffers))
    except Exception:
        pass
    try:
        values = Salvage(io.BytesIO(data), buffers=buffers, foreign=foreign).load()
    except Exception:
        return {}
    named = {id(value): name for name, value in space.items() if callable(value)}
    return {name: value for name, value in values.items() if _picklable(value, space, named, sys.maxsize)}


def _replay(space: dict[str, Any], source: str, remember: Callable[[ast.stmt], None]) -> bool:
    """Run one definition; returns whether that worked."""
    tree = ast.parse(source)
    try:
        exec(compile(tree, "<restored>", "exec"), space)
    except Exception:
        return False
    remember(tree.body[0])
    return True


def _name(source: str) -> str:
    node = ast.parse(source).body[0]
    return getattr(node, "name", "") or source[:80]


def _defaults(function: types.FunctionType) -> Any:
    return function.__defaults__, function.__kwdefaults__


def _variables(space: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in space.items() if not k.startswith("_") and k != "display" and type(v) is not types.ModuleType}


def _current(space: dict[str, Any], name: str, node: ast.stmt) -> bool:
    """Whether a definition still stands: its name may mean something else by now, or nothing."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    return callable(space.get(name))


def _import(name: str, module: types.ModuleType) -> str:
    return "import %s" % name if module.__name__ == name else "import %s as %s" % (module.__name__, name)


def _pickle(variables: dict[str, Any], space: dict[str, Any], named: dict[int, str], parts: Parts) -> tuple[bytes, list[int], list[str]]:
    """Pickle together what can be pickled, so that shared objects stay shared; returns the names dropped, too."""
    dropped: list[str] = []
    try:
        data, aside = _dump(variables, space, named, parts.left)
    except TooLarge:
        raise
    except Exception:
        dropped = [name for name, value in variables.items() if not _picklable(value, space, named, parts.left)]
        data, aside = _dump({name: value for name, value in variables.items() if name not in dropped}, space, named, parts.left)
    return data, [parts.add(view) for view in aside], dropped


def _dump(value: object, space: dict[str, Any], named: dict[int, str], limit: int) -> tuple[bytes, list[memoryview]]:
    out = Bounded(limit)
    aside: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if len(view) < LARGE or len(aside) >= PARTS // 2 - 1:
            return True
        aside.append(view)
        return False

    Saver(out, space, named, keep).dump(value)
    return b"".join(out.pieces), aside


def _picklable(value: object, space: dict[str, Any], named: dict[int, str], limit: int) -> bool:
    try:
        data, aside = _dump(value, space, named, limit)
        pickle.loads(data, buffers=aside)
    except TooLarge:
        raise
    except Exception:
        return False
    return True


def _files(parts: Parts) -> tuple[list[tuple[str, int, int]], list[str], list[bytes]]:
    """Return the working folder's regular files as (name, size, part, -1 for the core), its folders, and the bytes of the small files.

    Hidden ones and __pycache__ do not count.
    """
    files: list[tuple[str, int, int]] = []
    folders: list[str] = []
    small: list[bytes] = []
    for place, below, names in os.walk("."):
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__pycache__")
        folders += [os.path.join(place, name) for name in below]
        for path in [os.path.join(place, name) for name in sorted(names) if not name.startswith(".")]:
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if parts.takes(size):
                    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
                        files.append((path, size, parts.add(data)))
                else:
                    if size > parts.left:
                        raise TooLarge
                    small.append(file.read(size))
                    files.append((path, len(small[-1]), -1))
    return files, folders, small


def _unpack(index: dict[str, Any], parts: list[bytearray], small: memoryview) -> None:
    """Write the working folder."""
    for name in index["folders"]:
        os.makedirs(name, exist_ok=True)
    offset = 0
    for name, size, number in index["files"]:
        with open(name, "wb") as file:
            if number < 0:
                file.write(small[offset : offset + size])
                offset += size
            else:
                file.write(parts[number])
