"""What a turn, an execution and a sandbox may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every budget of a turn."""

    steps: int = 20
    """Completions of the model."""
    consecutive_errors: int = 5
    """Failed steps in a row."""
    step_seconds: float = 60.0
    """One execution."""
    turn_seconds: float = 900.0
    """The whole turn, the model's thinking included."""
    tokens: int = 500_000
    """Input and output tokens of all steps."""
    cost: float = 2.0
    """US dollars of all steps."""
    output: int = 100_000_000
    """Bytes printed in one turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What comes back from one execution at most."""

    output: int = 256 * 1024
    """Bytes of output, half of them head and half tail."""
    value: int = 64 * 1024
    """Bytes of the value's text."""
    files: int = 20
    """Files that come back with one step."""
    file_bytes: int = 16 * 1024 * 1024
    """Size of one file, in or out."""
    images: int = 10
    """Figures of one step."""
    image_bytes: int = 8 * 1024 * 1024
    """Size of one figure."""
    tables: int = 10
    """Tables of one step."""
    table_rows: int = 200
    """First rows of a table."""
    table_columns: int = 50
    """First columns of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one sandbox may use."""

    memory: int = 1024 * 1024 * 1024
    """Bytes, swap included."""
    cpus: float = 1.0
    """Processors' worth of time."""
    processes: int = 128
    """Processes and threads."""
    open_files: int = 1024
    """Descriptors of one process."""
    disk: int = 512 * 1024 * 1024
    """Bytes of the working folder."""
