"""Workers to be killed: real `codeact-bot serve` processes, forked from one that has imported everything, that die at a labelled point.

Each line on standard input, `LABEL COUNT`, starts a worker that kills itself with SIGKILL when it passes that point for the COUNT-th time; its
end is reported as a line on standard output, with the point (where it got there) and the status.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.common import pace
from adapters.slack import SlackAdapter  # noqa: F401
from adapters.slack.wire import Wire
from codeact_bot import delivery, serve, service
from codeact_bot.agent.loop import _Run
from codeact_bot.model.openai import OpenAIModel
from codeact_bot.sandbox import docker  # noqa: F401
from codeact_bot.sandbox.remote import RemoteSession
from codeact_bot.store import records
from codeact_bot.store.blobs import Blobs
from codeact_bot.store.history import History
from codeact_bot.store.mongo import MongoStore
from codeact_bot.store.places import Places

WRAPPED: dict[str, tuple[type, str]] = {
    "push": (MongoStore, "push"),
    "claim": (MongoStore, "claim"),
    "open_turn": (MongoStore, "open_turn"),
    "save_reply": (MongoStore, "save_reply"),
    "save_step": (MongoStore, "save_step"),
    "write": (MongoStore, "_write"),
    "save_snapshot": (MongoStore, "save_snapshot"),
    "use_part": (Blobs, "use"),
    "drop_part": (Blobs, "drop"),
    "save_bytes": (Blobs, "save"),
    "end_turn": (MongoStore, "end_turn"),
    "owe": (Places, "_owe"),
    "settle": (History, "_settle"),
    "append": (MongoStore, "append"),
    "delivered": (MongoStore, "delivered"),
    "release": (MongoStore, "release"),
    "move": (MongoStore, "move"),
    "post": (Wire, "post"),
    "update": (Wire, "update"),
    "upload": (Wire, "upload"),
    "snapshot": (RemoteSession, "snapshot"),
    "restore": (RemoteSession, "restore"),
    "execute": (_Run, "execute"),
}
POINTS = sorted([f"{when} {name}" for name in WRAPPED for when in ("before", "after")] + ["in thought", "in output"])


class Fate:
    """Where this worker dies."""

    def __init__(self, label: str, count: int, say: Callable[[str], None]) -> None:
        self._label, self._left, self._say = label, count, say

    def passes(self, point: str) -> None:
        if point == self._label:
            self._left -= 1
            if self._left == 0:
                self._say(point)
                os.kill(os.getpid(), signal.SIGKILL)


def arm(fate: Fate, log: Path) -> None:
    """Put the points into the program, and keep a record of what code was begun."""
    for name, (place, method) in WRAPPED.items():
        setattr(place, method, _wrapped(fate, name, getattr(place, method)))
    execute, complete, run = _Run.execute, OpenAIModel.complete, RemoteSession.run

    async def recorded(self: Any, step: Any, code: str) -> Any:
        with log.open("a") as file:
            file.write(f"{self.turn.id}/{step.index}\n")
        return await execute(self, step, code)

    async def heard(self: Any, messages: Any, hear: Any) -> Any:
        async def each(piece: Any) -> Any:
            fate.passes("in thought")
            return await hear(piece)

        return await complete(self, messages, each)

    async def ran(self: Any, code: str, *, printed: Any, **given: Any) -> Any:
        async def each(text: str) -> None:
            fate.passes("in output")
            await printed(text)

        return await run(self, code, printed=each, **given)

    _Run.execute, OpenAIModel.complete, RemoteSession.run = recorded, heard, ran  # type: ignore[method-assign]
    service.LEASE_SECONDS, service.POLL_SECONDS, records.GRACE = 1.5, 0.1, 1.0
    delivery.SECONDS, delivery.LOOK_SECONDS, pace.FIRST_WAIT = 1.0, 0.2, 0.1


def _wrapped(fate: Fate, name: str, method: Any) -> Any:
    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        fate.passes(f"before {name}")
        result = await method(self, *args, **kwargs)
        fate.passes(f"after {name}")
        return result

    return wrapped


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    log = Path(sys.argv[1])
    for line in sys.stdin:
        label, _, count = line.strip().rpartition(" ")
        pid = os.fork()
        if pid == 0:
            arm(Fate(label, int(count), lambda point: say(f"at {point}")), log)
            os._exit(asyncio.run(serve.serve()))
        say(f"pid {pid}")
        threading.Thread(target=_report, args=[pid]).start()


def _report(pid: int) -> None:
    say(f"end {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")


if __name__ == "__main__":
    main()
