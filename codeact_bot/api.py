"""The Python API: `async with Agent(...) as agent: result = await agent.run("…")`, and `run_sync`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from codeact_bot import app
from codeact_bot.agent.hints import HINTS, Hint
from codeact_bot.agent.loop import Loop
from codeact_bot.agent.window import Window
from codeact_bot.errors import ConfigurationInvalid, RunFailed
from codeact_bot.ports import Inbox, Model, Reply, Sandbox, Store
from codeact_bot.result import Result
from codeact_bot.service import Service
from codeact_bot.sessions import Sessions
from codeact_bot.settings import load
from codeact_bot.types import (
    Approval,
    Author,
    Bounds,
    Check,
    Ending,
    Event,
    File,
    Incoming,
    Kind,
    Limits,
    Resources,
    ThreadId,
    Turn,
    TurnDone,
)

AUTHOR = Author(id="api", name="api")
FileLike = File | Path | str
"""A file to hand in: its bytes, or a path to read them from."""


class _Listener:
    """The ChatAdapter of a program: hands the events of each turn to whoever asked."""

    def __init__(self) -> None:
        self.queues: dict[ThreadId, asyncio.Queue[Event]] = {}
        self._inbox: asyncio.Future[Inbox] = asyncio.get_running_loop().create_future()

    @property
    def prefixes(self) -> Sequence[str]:
        return tuple(self.queues)

    async def listen(self, inbox: Inbox) -> None:
        self._inbox.set_result(inbox)
        await asyncio.Event().wait()

    async def inbox(self) -> Inbox:
        return await asyncio.shield(self._inbox)

    async def check(self) -> Check:
        """It is the program itself that asks."""
        return Check(name="Python", ok=True, text="asks by itself")

    async def reply(self, turn: Turn) -> Reply:
        return _Reply(self.queues[turn.incoming.thread])

    async def settle(self, asked: Turn, by: Incoming) -> None:
        """Nothing shows a turn that has ended."""


@dataclass(frozen=True, slots=True)
class _Reply:
    queue: asyncio.Queue[Event]
    reference: str = ""

    async def show(self, event: Event) -> None:
        self.queue.put_nowait(event)

    async def aclose(self) -> None:
        pass


class Agent:
    """A CodeAct agent with a sandbox and a memory of its own.

    `model`: a Model, or a model's name at OPENAI_BASE_URL; None takes it from the environment (ConfigurationInvalid where
    there is none). `sandbox`: a Sandbox, or "docker" (the default) or "process". `store`: a Store, or a MongoDB URL; None
    keeps everything in memory. `approve`: "code" to be asked before code runs, or "nothing"; None takes it from the environment.
    """

    def __init__(
        self,
        *,
        model: Model | str | None = None,
        sandbox: Sandbox | Literal["docker", "process"] = "docker",
        store: Store | str | None = None,
        limits: Limits = Limits(),  # noqa: B008
        bounds: Bounds = Bounds(),  # noqa: B008
        resources: Resources = Resources(),  # noqa: B008
        hints: Sequence[Hint] = HINTS,
        pool: int = 0,
        approve: Literal["nothing", "code"] | None = None,
    ) -> None:
        self._model = model
        self._sandbox = sandbox
        self._store = store
        self._limits = limits
        self._bounds = bounds
        self._resources = resources
        self._hints = tuple(hints)
        self._pool = pool
        self._approve = approve
        self._stack = AsyncExitStack()
        self.thread = new_thread()
        """The conversation that `run` goes on with unless told otherwise."""

    async def __aenter__(self) -> Agent:
        """Open everything. Raises ConfigurationInvalid, StoreUnavailable, SandboxUnavailable, ImageUnavailable."""
        async with AsyncExitStack() as stack:
            store = await self._open_store(stack)
            sandbox = await self._open_sandbox(stack)
            model = await self._open_model(stack)
            sessions = await stack.enter_async_context(Sessions(sandbox, store, pool=self._pool))
            given = load()
            window, redactor = Window(context_tokens=given.context_tokens), app.make_redactor(given)
            loop = Loop(
                model=model,
                limits=self._limits,
                bounds=self._bounds,
                hints=self._hints,
                approve=(self._approve or given.approve) == "code",
                window=window,
                redactor=redactor,
            )
            self.store = store
            self._listener = _Listener()
            service = Service(store=store, sessions=sessions, loop=loop, adapters=[self._listener])
            self._serving = asyncio.create_task(service.run(), name="codeact-bot")
            stack.push_async_callback(_cancelled, self._serving)
            await self._listener.inbox()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    async def run(self, text: str, *, files: Sequence[FileLike] = (), thread: str | None = None) -> Result:
        """Answer a message in the agent's conversation, or in `thread`. Raises RunFailed where model or sandbox failed."""
        return await _result(self.stream(text, files=files, thread=thread))

    async def approve(self, result: Result) -> Result:
        """Run the code that a result asks to run, and go on. Raises RunFailed, and ConfigurationInvalid where it asks nothing."""
        return await self._decide(result, yes=True)

    async def decline(self, result: Result) -> Result:
        """Say no to the code that a result asks to run, which the model knows from then on. Raises ConfigurationInvalid where it asks nothing."""
        return await self._decide(result, yes=False)

    async def _decide(self, result: Result, *, yes: bool) -> Result:
        asked = result.turn
        if not result.outcome.proposal:
            raise ConfigurationInvalid("This result does not ask for an approval: `result.proposal` says whether one does.")
        said = Approval(turn=asked.id, digest=result.outcome.proposal, yes=yes, asker=asked.incoming.asker)
        incoming = Incoming(
            id=secrets.token_hex(12), thread=result.thread, author=AUTHOR, text="Yes." if yes else "No.", kind=Kind.APPROVAL, approval=said
        )
        return await _result(self._events(incoming))

    async def stream(self, text: str, *, files: Sequence[FileLike] = (), thread: str | None = None) -> AsyncIterator[Event]:
        """Answer a message, yielding every event; the last is TurnDone. Leaving early stops the turn."""
        key, given = ThreadId(thread or self.thread), await asyncio.to_thread(read_files, files)
        async with aclosing(self._events(Incoming(id=secrets.token_hex(12), thread=key, author=AUTHOR, text=text, files=given))) as events:
            async for event in events:
                yield event

    async def _events(self, incoming: Incoming) -> AsyncGenerator[Event]:
        key = incoming.thread
        if key in self._listener.queues:
            raise ConfigurationInvalid(f"The conversation {key} is answering another message; wait for it, or use another thread.")
        inbox = await self._listener.inbox()
        queue = self._listener.queues[key] = asyncio.Queue()
        try:
            await inbox.accept(incoming)
            while True:
                event = await self._next(queue)
                done = isinstance(event, TurnDone)
                if done:
                    del self._listener.queues[key]
                yield event
                if done:
                    return
        finally:
            if self._listener.queues.pop(key, None) is not None:
                await inbox.stop(key)

    async def _next(self, queue: asyncio.Queue[Event]) -> Event:
        """Return the next event. Raises RunFailed where the service has died, which it must not."""
        getting = asyncio.create_task(queue.get())
        try:
            await asyncio.wait([getting, self._serving], return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
        finally:
            getting.cancel()
        raise RunFailed("The agent is closed; open a new one.") from (None if self._serving.cancelled() else self._serving.exception())

    async def history(self, thread: str | None = None) -> Sequence[Turn]:
        """Return a conversation's turns, oldest first."""
        return await self.store.turns(ThreadId(thread or self.thread))

    async def load(self, file: File) -> bytes:
        """Return the bytes of a file in a result."""
        return file.data if file.data is not None else await self.store.load_file(file.digest)

    async def _open_store(self, stack: AsyncExitStack) -> Store:
        if self._store is not None and not isinstance(self._store, str):
            return self._store
        if self._store is None:
            from codeact_bot.store.memory import MemoryStore

            return MemoryStore()
        return await stack.enter_async_context(app.open_store(load(mongo_url=self._store), app.quiet))

    async def _open_sandbox(self, stack: AsyncExitStack) -> Sandbox:
        if not isinstance(self._sandbox, str):
            await self._sandbox.prepare(app.quiet)
            return self._sandbox
        settings = load(sandbox=self._sandbox, resources=self._resources)
        return await stack.enter_async_context(app.open_sandbox(settings, app.quiet, strangers=False))

    async def _open_model(self, stack: AsyncExitStack) -> Model:
        if self._model is not None and not isinstance(self._model, str):
            return self._model
        settings = load(model=self._model) if self._model else load()
        if not settings.has_model:
            raise ConfigurationInvalid("No model is configured. Set OPENAI_API_KEY or OPENAI_BASE_URL, or pass model=… to Agent.")
        model = app.make_model(settings)
        stack.push_async_callback(model.aclose)
        return model


def run_sync(text: str, *, files: Sequence[FileLike] = (), **options: Any) -> Result:
    """Answer one message and close everything again, for programs without an event loop. Takes Agent's parameters too."""

    async def run() -> Result:
        async with Agent(**options) as agent:
            return await agent.run(text, files=files)

    return asyncio.run(run())


def new_thread(platform: str = "api") -> ThreadId:
    """Make up an id that cannot be guessed."""
    return ThreadId(f"{platform}:{secrets.token_hex(8)}")


def read_files(files: Sequence[FileLike]) -> tuple[File, ...]:
    """Read what is given as a path."""
    return tuple(file if isinstance(file, File) else File.of(Path(file).name, Path(file).read_bytes()) for file in files)


async def _result(events: AsyncIterator[Event]) -> Result:
    """Hear events to their end. Raises RunFailed where model or sandbox failed."""
    result = None
    async for event in events:
        if isinstance(event, TurnDone):
            result = Result(turn=event.turn)
    assert result is not None
    if result.outcome.ending is Ending.FAILED:
        raise RunFailed(result.text)
    return result


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
