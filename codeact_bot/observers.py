"""Who sees what a worker does: several observers as one, and the one that writes the log."""

from __future__ import annotations

import builtins
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from codeact_bot.agent.limits import failed
from codeact_bot.agent.loop import Ended
from codeact_bot.ports import Found, Observer, Tell
from codeact_bot.types import Activity, Execution, Turn, Work

log = logging.getLogger(__name__)

OTHER = "other"
KNOWN = frozenset(name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)) | {
    "_csv.Error",
    "binascii.Error",
    "json.decoder.JSONDecodeError",
    "numpy.exceptions.AxisError",
    "numpy.linalg.LinAlgError",
    "pandas.errors.EmptyDataError",
    "pandas.errors.IndexingError",
    "pandas.errors.MergeError",
    "pandas.errors.ParserError",
    "pandas.errors.UndefinedVariableError",
    "sqlite3.OperationalError",
    "subprocess.CalledProcessError",
    "zipfile.BadZipFile",
}
"""Types of errors that are told apart: what code may name its own errors would be without end."""


def error_name(execution: Execution) -> str:
    """Return the type of an execution's error, `other` for one that is not known here; empty where there is none."""
    if execution.error is None:
        return ""
    return execution.error.type if execution.error.type in KNOWN else OTHER


def refinements(turn: Turn) -> int:
    """Return how many steps of a turn had to be corrected: their code failed, or there was none that could run."""
    return sum(map(failed, turn.steps))


def result_of(error: BaseException) -> str:
    """Say how work ended that an exception ended: `stopped` where somebody, or a budget, wanted no more of it, else `failed`."""
    return "failed" if isinstance(error, Exception) and not isinstance(error, Ended) else "stopped"


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        """Let all of these see everything."""
        self._observers = tuple(observers)

    @contextmanager
    def during(self, work: Work) -> Iterator[Tell]:
        """Let all see a piece of work."""
        with ExitStack() as stack:
            tells = [stack.enter_context(each.during(work)) for each in self._observers]

            def tell(found: Found) -> None:
                for each in tells:
                    each(found)

            yield tell


class Journal:
    """Writes into the log what was run and how turns ended; never what anybody wrote."""

    @contextmanager
    def during(self, work: Work) -> Iterator[Tell]:
        """Write a line when a turn or an execution is told of."""

        def tell(found: Found) -> None:
            if work.what is Activity.TURN and isinstance(found, Turn) and found.outcome is not None:
                _turn(work, found)
            elif isinstance(found, Execution):
                _execution(work, found)

        yield tell


def _turn(work: Work, turn: Turn) -> None:
    assert turn.outcome is not None
    fields = {"action": "turn", "conversation": work.thread, "turn": turn.id}
    seconds = time.perf_counter() - work.since
    log.info("A turn ended: %s, steps %d, %.1f s here, tokens %d", turn.outcome.ending, len(turn.steps), seconds, turn.usage.tokens, extra=fields)


def _execution(work: Work, execution: Execution) -> None:
    fields = {"action": "execution", "conversation": work.thread, "turn": work.turn, "step": work.step}
    name = error_name(execution)
    log.info("Code ran: %s%s, %.1f s", execution.status, f" ({name})" if name else "", execution.seconds, extra=fields)
