"""The state of a session, to be kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a session's state: opaque bytes that only a sandbox may read."""

    size: int
    digest: str
    """SHA-256 of the bytes, hexadecimal."""
    data: bytes | None = field(default=None, repr=False)
    """The bytes, or None where only the store holds them."""

    @classmethod
    def of(cls, data: bytes) -> Part:
        """Make a part from its bytes."""
        return cls(size=len(data), digest=hashlib.sha256(data).hexdigest(), data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a session."""

    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()
    """Variables and definitions that were kept."""
    dropped: tuple[str, ...] = ()
    """Variables that could not be kept."""
    mark: str = ""
    """The last step whose effects it holds, as `step_mark` names it."""
    behind: bool = False
    """Whether code ran in the conversation after it; without parts, whether anything that was to be kept is lost."""
