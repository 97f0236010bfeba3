"""The command that starts the worker: its modules packed into one program, so that nothing has to be installed in the sandbox."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PACKAGE = "codeact_worker"
LOADER = """
import sys
from _frozen_importlib import ModuleSpec
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in SOURCES:
            return ModuleSpec(name, self, is_package=name == PACKAGE)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(SOURCES[module.__name__], "<" + module.__name__ + ">", "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from codeact_worker.supervisor import main
main()
"""
"""Modules are compiled when they are first imported, so that a start does not pay for what only a snapshot needs."""


@cache
def program() -> str:
    """Return the worker as the source of one Python program, well below the 128 KiB that an argument may have."""
    folder = Path(__file__).parent / "worker"
    sources = {f"{PACKAGE}.{path.stem}": path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    sources[PACKAGE] = sources.pop(f"{PACKAGE}.__init__")
    return f"PACKAGE = {PACKAGE!r}\nSOURCES = {sources!r}\n{LOADER}"


def worker_command(python: str = "python3", *, uid: int | None = None) -> list[str]:
    """Return the command that starts the worker; with `uid` it gives up root for that user and group first."""
    # Isolated, so that nothing in the working folder or the environment is imported in place of the standard library.
    return [python, "-I", "-X", "utf8", "-c", program(), *([] if uid is None else [str(uid)])]
