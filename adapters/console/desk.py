"""What the terminal's commands need from the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from codeact_bot.types import Entry, File, Fork, ThreadId, Turn


class Desk(Protocol):
    """What the commands need from the core."""

    async def files(self, thread: ThreadId) -> Sequence[tuple[str, int]]:
        """List the working folder: names and sizes. Raises CodeactError."""

    async def fetch(self, thread: ThreadId, name: str) -> File:
        """Read a file of the working folder, with its bytes. Raises FileRefused, SandboxLost."""

    async def load(self, file: File) -> bytes:
        """Read the bytes of a file that the store keeps. Raises FileRefused."""

    async def history(self, thread: ThreadId) -> Sequence[Turn]:
        """The conversation's ended turns, oldest first."""

    async def last(self, thread: ThreadId) -> Turn | None:
        """The conversation's last ended turn; None where there is none."""

    async def undo(self, thread: ThreadId) -> Turn | None:
        """Take the last turn out of the history."""

    async def fork(self, thread: ThreadId, turns: int) -> Fork:
        """Begin a conversation with the history and state that another had after so many of its turns. Raises CodeactError."""

    async def export(self, thread: ThreadId, kind: str) -> File:
        """Write the conversation as `md`, `json`, `ipynb` or `jsonl`. Raises CodeactError."""

    async def record(self, entry: Entry) -> None:
        """Add to the audit what the person did. Raises StoreUnavailable."""

    async def waiting(self, thread: ThreadId) -> int:
        """How many messages of the thread are not answered yet."""

    def new_thread(self) -> ThreadId:
        """Name a fresh conversation."""
