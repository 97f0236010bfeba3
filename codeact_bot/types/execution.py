"""What came of running code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from codeact_bot.types.file import File


class Status(StrEnum):
    """How an execution ended."""

    OK = "ok"
    ERROR = "error"
    """The code raised, or exited with an error."""
    TIMEOUT = "timeout"
    """It ran out of its seconds and was interrupted; `Execution.lost` says whether variables survived."""
    KILLED = "killed"
    """Its process died: out of memory, `os._exit`, a signal. Variables are gone, the working folder is not."""
    STOPPED = "stopped"
    """A person stopped it."""
    LOST = "lost"
    """The sandbox itself is gone, or a crash left the step open. It may have had effects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeError:
    """The exception that ended the user's code."""

    type: str
    """The exception's class name: `KeyError`, `pandas.errors.ParserError`."""
    message: str
    traceback: str = ""
    """The user's own frames with their source lines, and the error; library frames folded."""
    line: int | None = None
    """Line of the submitted code (from 1) that raised, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that the code showed, as text cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first rows, each as long as `columns`."""
    total_rows: int
    """Rows of the whole table, of which `rows` are the first."""
    total_columns: int
    """Columns of the whole table, of which `columns` are the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The outcome of running one block. A failure of the user's code is a result, never an exception."""

    status: Status
    output: str = ""
    """Standard output and standard error in the order written; head and tail where some was cut."""
    cut: int = 0
    """Bytes of output left out between head and tail."""
    value: str | None = None
    """Text of the last expression's value, as a notebook shows it; None where there is none."""
    error: CodeError | None = None
    tables: tuple[Table, ...] = ()
    images: tuple[File, ...] = ()
    """PNGs of the figures that the code drew."""
    files: tuple[File, ...] = ()
    """Files of the working folder that the code made or changed."""
    notes: tuple[str, ...] = ()
    """Sentences on what was left out: files too many or too large, images dropped, a value cut."""
    lost: tuple[str, ...] = ()
    """Names of the variables that went with a killed process; `state_lost` says whether one went at all."""
    state_lost: bool = False
    """True where the variables of earlier steps are gone."""
    seconds: float = 0.0
