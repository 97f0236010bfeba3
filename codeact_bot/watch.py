"""What a worker says of itself to those who look after it: whether it is ready, and its measures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST

from codeact_bot.delivery import prefixes
from codeact_bot.errors import CodeactError
from codeact_bot.metrics import Measures
from codeact_bot.ports import ChatAdapter, Sandbox, Store
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.types import Backlog, Check, Preparing

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a part has to answer; a probe of Kubernetes or Prometheus waits little longer."""
FRESH = 1.0
"""Seconds for which an answer is given again, however often somebody asks."""
SILENT = "It did not answer within {:.0f} s. Look into its log, and whether its machine is overloaded."

WAIT = "Wait until it listens."
STOPPING = Check(name="worker", ok=False, text="stopping", remedy="It was told to stop. Start it again when you need it.")


class Question:
    """A question to a part of the worker: asked once at a time, and not again while the answer is fresh."""

    def __init__(self, ask: Callable[[], Awaitable[Check]], name: str) -> None:
        """Ask by calling `ask`."""
        self._ask = ask
        self._name = name
        self._asking: asyncio.Task[Check] | None = None
        self._answered = 0.0

    async def answer(self) -> Check:
        """Return the answer, or that there is none."""
        clock = asyncio.get_running_loop().time
        if self._asking is None or (self._asking.done() and clock() - self._answered > FRESH):
            self._asking = asyncio.create_task(self._asked(), name=f"check {self._name}")
        await asyncio.wait([self._asking], timeout=PATIENCE)
        if self._asking.done():
            return self._asking.result()
        return Check(name=self._name, ok=False, text="does not answer", remedy=SILENT.format(PATIENCE))

    async def _asked(self) -> Check:
        try:
            return await self._ask()
        except CodeactError as error:
            what, _, remedy = str(error).partition(". ")
            return Check(name=self._name, ok=False, text=f"{what.rstrip('.')}.", remedy=remedy or "Look into the log of codeact-bot.")
        except Exception:
            log.exception("A check failed", extra={"action": "ready"})
            return Check(name=self._name, ok=False, text="failed", remedy="Look into the log of codeact-bot.")
        finally:
            self._answered = asyncio.get_running_loop().time()

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])


class Porter:
    """Answers for a worker from its first moment: that it is being opened, then what its warden says; implements Watch."""

    def __init__(self) -> None:
        """Begin with nothing open."""
        self._warden: Warden | None = None
        self._check = Check(name="worker", ok=False, text="starting", remedy=WAIT)

    def tell(self, step: Preparing) -> None:
        """Take what slow first-time work goes on."""
        self._check = replace(self._check, text=f"starting: {step.label}")

    @contextmanager
    def asking(self, warden: Warden | None) -> Iterator[None]:
        """Let a warden answer while the body lasts; after it the worker is being closed."""
        self._warden = warden
        try:
            yield
        finally:
            self._warden, self._check = None, STOPPING

    async def ready(self) -> Sequence[Check]:
        """Whether the worker can take in messages and answer them, line by line."""
        return [self._check] if self._warden is None else await self._warden.ready()

    async def metrics(self) -> tuple[bytes, str]:
        """All measures as Prometheus reads them, and their content type; none while nothing is open."""
        return (b"", CONTENT_TYPE_LATEST) if self._warden is None else await self._warden.metrics()


class Warden:
    """Looks after one worker; implements Watch."""

    def __init__(self, store: Store, sandbox: Sandbox, sessions: Sessions, measures: Measures) -> None:
        """Ask these parts, and those of the service when it begins."""
        self._store = store
        self._sandbox = sandbox
        self._sessions = sessions
        self._measures = measures
        self._service: Service | None = None
        self._adapters: Sequence[ChatAdapter] = ()
        self._questions = [Question(self._ask_store, "MongoDB"), Question(self._ask_sandbox, "sandbox")]
        self._backlog = Backlog()

    def look_after(self, service: Service, adapters: Sequence[ChatAdapter]) -> None:
        """Ask a service that begins and its adapters, too."""
        self._service = service
        self._adapters = adapters
        self._questions += [Question(each.check, type(each).__name__.removesuffix("Adapter")) for each in adapters]

    async def ready(self) -> Sequence[Check]:
        """Whether the worker can take in messages and answer them, line by line."""
        return [self._worker(), *await asyncio.gather(*(each.answer() for each in self._questions))]

    async def metrics(self) -> tuple[bytes, str]:
        """All measures as Prometheus reads them, and their content type."""
        store = await self._questions[0].answer()
        return self._measures.text(self._backlog if store.ok else None, self._sessions.count())

    def _worker(self) -> Check:
        if self._service is None:
            return Check(name="worker", ok=False, text="starting", remedy=WAIT)
        if self._service.leaving.is_set():
            return STOPPING
        return Check(name="worker", ok=True, text="working")

    async def _ask_store(self) -> Check:
        self._backlog = await self._store.backlog(prefixes(self._adapters))
        return Check(name="MongoDB", ok=True, text=f"answers; {self._backlog.waiting} waiting, {self._backlog.running} running")

    async def _ask_sandbox(self) -> Check:
        await self._sandbox.check()
        return Check(name="sandbox", ok=True, text=f"{self._sandbox.name} answers")

    async def __aenter__(self) -> Warden:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.gather(*(each.aclose() for each in self._questions))
