"""Files that come in with a question or out of code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A named file, with its bytes or only with their address in the store."""

    name: str
    """Path relative to the working folder, `/`-separated."""
    size: int
    digest: str
    """SHA-256 of the bytes, hexadecimal: their address in the store."""
    data: bytes | None = field(default=None, repr=False)
    """The bytes, or None where only the store holds them (`Store.load_file`)."""

    @classmethod
    def of(cls, name: str, data: bytes) -> File:
        """Make a file from its bytes."""
        return cls(name=name, size=len(data), digest=hashlib.sha256(data).hexdigest(), data=data)
