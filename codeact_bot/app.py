"""The composition root: Settings become objects, opened and closed by one `async with`."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from codeact_bot import __version__
from codeact_bot.agent.loop import Loop
from codeact_bot.agent.window import Window
from codeact_bot.clock import Clock
from codeact_bot.delivery import prefixes
from codeact_bot.errors import ConfigurationInvalid, ImageUnavailable, SandboxUnavailable
from codeact_bot.observers import Journal, Observers
from codeact_bot.ports import ChatAdapter, Model, Observer, Progress, Sandbox, Store
from codeact_bot.redaction import Redactor
from codeact_bot.schedule import Scheduler
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.settings import Settings
from codeact_bot.types import Preparing
from codeact_bot.upkeep import record_settings, retain

if TYPE_CHECKING:
    from codeact_bot.metrics import Measures
    from codeact_bot.model.openai import OpenAIModel
    from codeact_bot.sandbox.docker import DockerSandbox
    from codeact_bot.sandbox.process import ProcessSandbox
    from codeact_bot.watch import Warden

log = logging.getLogger(__name__)

HIBERNATE_SECONDS = 10.0
"""How often to look for sandboxes that nobody uses."""
SCHEDULE_SECONDS = 1.0
"""How often to look for schedules that are due."""
RETAIN_SECONDS = 300.0
"""How often to look for what is kept long enough."""
TALLY_SECONDS = 60.0
"""How often to look for weeks whose runs can be added up for good."""
REAP_SECONDS = 300.0
"""How often to look for sandboxes of dead workers."""

NOT_FOR_OTHERS = (
    "The process sandbox isolates less than Docker, so it does not run the code of other people. "
    "Install Docker, or set CODEACT_PROCESS_FOR_OTHERS=true if you accept that."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything that one process of codeact-bot is made of."""

    settings: Settings
    store: Store
    sandbox: Sandbox
    model: Model
    sessions: Sessions
    loop: Loop
    clock: Clock
    observer: Observer
    watch: Warden | None = None
    """Who tells of this process's health; None without the libraries of the web chat."""
    fallbacks: tuple[str, ...] = ()
    """Why something is not as preferred, one sentence each."""

    def service(self, *adapters: ChatAdapter) -> Service:
        """Make the service that works for these adapters."""
        settings = self.settings
        service = Service(
            store=self.store,
            sessions=self.sessions,
            loop=self.loop,
            adapters=adapters,
            concurrency=settings.concurrency,
            grace=settings.grace_seconds,
            observer=self.observer,
        )
        if self.watch is not None:
            self.watch.look_after(service, adapters)
        return service

    def run_schedules(self, service: Service, *adapters: ChatAdapter) -> None:
        """From now on, send what schedules of these adapters' channels are due for."""
        settings = self.settings
        grace = timedelta(minutes=settings.misfire_minutes)
        scheduler = Scheduler(self.store, service, settings.access, lambda: prefixes(adapters), grace, self.observer)
        self.clock.every(SCHEDULE_SECONDS, scheduler.tick, "schedule")


@asynccontextmanager
async def open_app(settings: Settings, progress: Progress, *, strangers: bool = True) -> AsyncIterator[App]:
    """Open everything; `strangers` tells that other people than the one who started it will use it.

    Raises ConfigurationInvalid, StoreUnavailable, SandboxUnavailable, ImageUnavailable.
    """
    async with AsyncExitStack() as stack:
        fallbacks: list[str] = []
        store = await stack.enter_async_context(open_store(settings, progress))
        await record_settings(store, settings, "serve" if strangers else "chat")
        sandbox = await stack.enter_async_context(open_sandbox(settings, progress, strangers=strangers, fell_back=fallbacks.append))
        model = make_model(settings)
        stack.push_async_callback(model.aclose)
        measures = make_measures(model, sandbox)
        observer = await stack.enter_async_context(open_observer(settings, measures))
        sessions = await stack.enter_async_context(Sessions(sandbox, store, pool=settings.pool, observer=observer))
        loop = make_loop(settings, model, observer)
        watch = await stack.enter_async_context(open_watch(store, sandbox, sessions, measures)) if measures else None
        clock = Clock()
        clock.every(HIBERNATE_SECONDS, lambda: sessions.hibernate(settings.hibernate_minutes * 60), "hibernate")
        clock.every(REAP_SECONDS, sandbox.reap, "reap")
        clock.every(RETAIN_SECONDS, lambda: retain(store, settings.retention), "retain")
        clock.every(TALLY_SECONDS, store.tally, "tally")
        await stack.enter_async_context(clock)
        yield App(
            settings=settings,
            store=store,
            sandbox=sandbox,
            model=model,
            sessions=sessions,
            loop=loop,
            clock=clock,
            observer=observer,
            watch=watch,
            fallbacks=tuple(fallbacks),
        )


def make_measures(model: Model, sandbox: Sandbox) -> Measures | None:
    """Make what counts and times; None where its library is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        return None
    from codeact_bot.metrics import Measures

    return Measures(__version__, model, sandbox)


@asynccontextmanager
async def open_observer(settings: Settings, measures: Measures | None) -> AsyncIterator[Observer]:
    """Open all that see what this process does. Raises ConfigurationInvalid where a library is missing that a setting asks for."""
    observers: list[Observer] = [Journal(), *([measures] if measures else [])]
    if not settings.traces:
        yield Observers(observers)
        return
    try:
        from codeact_bot.telemetry import tracing
    except ImportError:
        raise ConfigurationInvalid("CODEACT_TRACES needs a library that is not installed: pip install 'codeact-bot[telemetry]'.") from None
    async with tracing(settings.traces, __version__) as traces:
        yield Observers([*observers, traces])


def open_watch(store: Store, sandbox: Sandbox, sessions: Sessions, measures: Measures) -> Warden:
    """Make who tells of this process's health."""
    from codeact_bot.watch import Warden

    return Warden(store, sandbox, sessions, measures)


def make_loop(settings: Settings, model: Model, observer: Observer) -> Loop:
    """Make the loop with the settings' limits."""
    window, redactor = Window(context_tokens=settings.context_tokens), make_redactor(settings)
    return Loop(
        model=model,
        limits=settings.limits,
        bounds=settings.bounds,
        approve=settings.approve == "code",
        window=window,
        redactor=redactor,
        observer=observer,
    )


def make_redactor(settings: Settings) -> Redactor:
    """Make what leaves the configured secrets, and what looks like one, out of what is stored and shown."""
    return Redactor(settings.secrets())


def make_model(settings: Settings) -> Model:
    """Make the configured model, or the demo model where none is configured."""
    if settings.has_model:
        return make_openai(settings)
    from codeact_bot.model.tour import DemoModel

    return DemoModel()


def make_openai(settings: Settings) -> OpenAIModel:
    """Make the configured model."""
    from codeact_bot.model.openai import OpenAIModel

    key = settings.openai_api_key
    return OpenAIModel(
        name=settings.model,
        api_key=key.get_secret_value() if key else None,
        base_url=settings.openai_base_url or None,
        temperature=settings.temperature,
        prices=settings.prices,
    )


@asynccontextmanager
async def open_store(settings: Settings, progress: Progress) -> AsyncIterator[Store]:
    """Open the configured MongoDB, or a private one. Raises StoreUnavailable."""
    from codeact_bot.store.mongo import MongoStore

    async with AsyncExitStack() as stack:
        url = settings.mongo_url.get_secret_value()
        if not url:
            from codeact_bot.store.embedded import EmbeddedMongo

            url = await stack.enter_async_context(EmbeddedMongo(settings.data / "mongodb", progress))
        store = await MongoStore.open(url, settings.database, make_redactor(settings))
        stack.push_async_callback(store.aclose)
        yield store


@asynccontextmanager
async def open_sandbox(
    settings: Settings, progress: Progress, *, strangers: bool, fell_back: Callable[[str], None] = log.warning
) -> AsyncIterator[Sandbox]:
    """Open the configured sandbox and remove what dead workers left. Raises SandboxUnavailable, ImageUnavailable."""
    sandbox = await choose_sandbox(settings, progress, strangers=strangers, fell_back=fell_back)
    try:
        await sandbox.reap()
        yield sandbox
    finally:
        await sandbox.aclose()


async def choose_sandbox(settings: Settings, progress: Progress, *, strangers: bool, fell_back: Callable[[str], None]) -> Sandbox:
    """Return the sandbox that the settings ask for, ready to start sessions; `fell_back` is told why it is not the preferred one.

    `auto` is Docker; a process where Docker does not answer, if only the person who started the program uses it.
    """
    process_allowed = not strangers or settings.process_for_others
    if settings.sandbox == "process":
        if not process_allowed:
            raise SandboxUnavailable(NOT_FOR_OTHERS)
        return await _prepared(make_process(settings), progress)
    try:
        return await _prepared(make_docker(settings), progress)
    except (SandboxUnavailable, ImageUnavailable) as error:
        if settings.sandbox == "docker" or not process_allowed:
            raise
        fell_back(f"Docker is not usable, so code runs in a process. {error}")
        return await _prepared(make_process(settings), progress)


async def _prepared(sandbox: Sandbox, progress: Progress) -> Sandbox:
    try:
        await sandbox.prepare(progress)
    except BaseException:
        await sandbox.aclose()
        raise
    return sandbox


def make_docker(settings: Settings) -> DockerSandbox:
    """Make the Docker sandbox."""
    from codeact_bot.sandbox.docker import DockerSandbox

    given = {"image": settings.image, "base_image": settings.base_image, "runtime": settings.docker_runtime}
    return DockerSandbox(resources=settings.resources, **{name: value for name, value in given.items() if value})


def make_process(settings: Settings) -> ProcessSandbox:
    """Make the process sandbox: bubblewrap where it works, else a plain child process."""
    from codeact_bot.sandbox.process import ProcessSandbox

    return ProcessSandbox(resources=settings.resources)


def quiet(_: Preparing) -> None:
    """Ignore progress."""
