"""A chat bot whose only action is Python: the public names, each imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeact_bot.api import Agent, run_sync
    from codeact_bot.model.openai import OpenAIModel
    from codeact_bot.model.scripted import ScriptedModel
    from codeact_bot.result import Result
    from codeact_bot.sandbox.docker import DockerSandbox
    from codeact_bot.sandbox.process import ProcessSandbox
    from codeact_bot.store.memory import MemoryStore
    from codeact_bot.store.mongo import MongoStore
    from codeact_bot.types import Bounds, Execution, File, Limits, Resources, Step, Turn

__version__ = "0.1.0"

_HOMES = {
    "codeact_bot.api": ("Agent", "run_sync"),
    "codeact_bot.model.openai": ("OpenAIModel",),
    "codeact_bot.model.scripted": ("ScriptedModel",),
    "codeact_bot.result": ("Result",),
    "codeact_bot.sandbox.docker": ("DockerSandbox",),
    "codeact_bot.sandbox.process": ("ProcessSandbox",),
    "codeact_bot.store.memory": ("MemoryStore",),
    "codeact_bot.store.mongo": ("MongoStore",),
    "codeact_bot.types": ("Bounds", "Execution", "File", "Limits", "Resources", "Step", "Turn"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Agent", "Bounds", "DockerSandbox", "Execution", "File", "Limits", "MemoryStore", "MongoStore", "OpenAIModel",
    "ProcessSandbox", "Resources", "Result", "ScriptedModel", "Step", "Turn", "__version__", "run_sync",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
