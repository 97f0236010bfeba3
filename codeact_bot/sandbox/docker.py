"""One hardened container per conversation: docker-py for its life cycle, the attach stream for the data."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from docker import APIClient
from docker.errors import APIError, DockerException, NotFound

from codeact_bot.errors import ImageUnavailable, ProtocolViolated, SandboxLost
from codeact_bot.ports import Progress, Session
from codeact_bot.sandbox import engine, image, owner
from codeact_bot.sandbox.attach import DockerChannel
from codeact_bot.sandbox.hardening import hardened
from codeact_bot.sandbox.remote import RemoteSession, Startup, worker_command
from codeact_bot.types import Check, Preparing, Resources

T = TypeVar("T")

log = logging.getLogger(__name__)

LABEL = "codeact-bot"
OWNER = "codeact-bot.owner"
THREAD = "codeact-bot.thread"
THREADS = 16
"""Containers that are started or removed at once."""
RESTART = 10.0
"""Seconds that an engine which has answered before may be away before no sandbox can be started."""
AGAIN = 0.25
"""Seconds between attempts meanwhile."""
FORGOTTEN = 3600
"""Seconds after which a container that never started counts as left behind, whoever made it."""


class DockerSandbox:
    """Starts containers; implements `ports.Sandbox`.

    `image` is used as it is and needs Python 3.9; without it the project's own is built from `base_image` (empty: the Dockerfile's
    default). `runtime` is the engine's default or, for gVisor, `runsc`. `owner` marks the containers; it is this process.
    """

    def __init__(
        self,
        *,
        image: str = "",
        resources: Resources = Resources(),  # noqa: B008
        runtime: str | None = None,
        base_image: str = "",
        owner: str | None = None,
    ) -> None:
        self._given_image = image
        self._base_image = base_image
        self._resources = resources
        self._runtime = runtime
        self._owner = owner
        self._client: APIClient | None = None
        self._connecting = threading.Lock()
        self._volumes: tuple[str, ...] = ()
        self._default_runtime = "default runtime"
        self._ready = False
        self._preparing = asyncio.Lock()
        self._left: set[str] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")

    @property
    def name(self) -> str:
        """What a person is told: `docker (runc)`."""
        return f"docker ({self._runtime or self._default_runtime})"

    @property
    def image(self) -> str:
        """Tag of the image that sandboxes are started from."""
        return self._given_image or image.tag_for(self._base_image)

    async def prepare(self, progress: Progress) -> None:
        """Check the engine and its runtime, and build or download the image. Raises SandboxUnavailable, ImageUnavailable."""
        async with self._preparing:
            loop = asyncio.get_running_loop()

            def tell(preparing: Preparing) -> None:
                loop.call_soon_threadsafe(progress, preparing)

            await engine.aside(functools.partial(self._prepare, tell))
            self._ready = True

    def _prepare(self, progress: Progress) -> None:
        try:
            client = self._connected()
            info = client.info()
            self._default_runtime = info["DefaultRuntime"]
            if self._runtime and self._runtime not in info["Runtimes"]:
                raise engine.unknown_runtime(self._runtime)
            record = image.ensure(client, self.image, self._base_image, progress)
        except (DockerException, OSError) as error:
            raise engine.explain(error, image=self.image) from error
        self._volumes = tuple(record["Config"].get("Volumes") or ())

    async def start(self, label: str) -> Session:
        """Start a session; `label` marks its container. Raises SandboxUnavailable, ImageUnavailable, SandboxLost."""
        if not self._ready:
            await self.prepare(lambda _: None)
        container, attached = await self._launched(label)
        try:
            channel = await DockerChannel.over(attached, functools.partial(self._clear, container))
        except BaseException:
            attached.close()
            self._threads.submit(self._remove, container)
            raise
        try:
            return await RemoteSession.open(channel, Startup(memory=self._resources.memory))
        except (SandboxLost, ProtocolViolated) as error:
            if isinstance(error, SandboxLost) and not channel.last_words.strip():
                raise  # it was removed, or killed: an image without a fit Python says something
            reason = (channel.last_words.splitlines() or [str(error)])[-1].rstrip(".")
            raise ImageUnavailable(
                f"The sandbox's worker did not start in the image {self.image}: {reason}. It needs Python 3.9 or newer as python3."
            ) from error

    async def _launched(self, label: str) -> tuple[str, socket.socket]:
        """Launch a container; an engine that restarts is waited for."""
        deadline = time.monotonic() + RESTART
        while True:
            launching = self._threads.submit(self._launch, label)
            try:
                return await asyncio.wrap_future(launching)
            except asyncio.CancelledError:
                self._threads.submit(launching.add_done_callback, self._discard)
                raise
            except (DockerException, OSError) as error:
                if not isinstance(error, OSError) or isinstance(error, APIError) or time.monotonic() > deadline:
                    raise engine.explain(error, image=self.image, runtime=self._runtime or "") from error
            await asyncio.sleep(AGAIN)

    def _launch(self, label: str) -> tuple[str, socket.socket]:
        client = self._connected()
        name = f"codeact-bot-{secrets.token_hex(8)}"
        container = client.create_container(**self._container(client, label), name=name)["Id"]
        try:
            attached = _attach(client, container)
            try:
                client.start(container)
            except BaseException:
                attached.close()
                raise
        except BaseException:
            self._remove(container)
            raise
        return container, attached

    def _discard(self, launching: Future[tuple[str, socket.socket]]) -> None:
        """Remove what a start brought up that nobody waits for any more."""
        if not launching.cancelled() and launching.exception() is None:
            container, attached = launching.result()
            attached.close()
            self._remove(container)

    def _container(self, client: APIClient, label: str) -> dict[str, Any]:
        gvisor = "runsc" in (self._runtime or self._default_runtime)
        return {
            **hardened(client, self._resources, volumes=self._volumes, runtime=self._runtime, gvisor=gvisor),
            "image": self.image,
            "entrypoint": worker_command(),
            "command": [],
            "labels": {LABEL: "sandbox", OWNER: self._mark(), THREAD: label},
            "stdin_open": True,
            "stop_signal": "SIGKILL",  # an engine that stops need not wait for what is never going to leave by itself
            "healthcheck": {"test": ["NONE"]},
        }

    async def _clear(self, container: str) -> None:
        """Remove a container; where the engine does not let that be, it is done with the next reaping."""
        try:
            await self._in_thread(self._remove, container)
        except (DockerException, OSError) as error:
            self._left.add(container)
            log.warning("A sandbox is removed later: %s", engine.explain(error), extra={"action": "remove"})

    def _remove(self, container: str) -> bool:
        """Kill and remove a container, and wait until it is gone; False when it was gone before."""
        client = self._connected()
        try:
            client.remove_container(container, force=True, v=True)
        except NotFound:
            return False
        except APIError as error:
            if error.status_code != 409:
                raise
            _wait_until_removed(client, container)
        return True

    async def reap(self) -> int:
        """Remove the containers of dead processes; returns how many those were. Raises SandboxUnavailable."""
        try:
            return await self._in_thread(self._reap)
        except (DockerException, OSError) as error:
            raise engine.explain(error) from error

    def _reap(self) -> int:
        owed = frozenset(self._left)
        found = self._connected().containers(all=True, filters={"label": f"{LABEL}=sandbox"})
        reaped = sum(self._remove(one["Id"]) for one in found if _is_left(one) or one["Id"] in owed)
        self._left -= owed
        return reaped

    async def check(self) -> None:
        """Find out whether the engine answers. Raises SandboxUnavailable."""

        def ask() -> None:
            self._connected().ping()

        try:
            await engine.aside(ask)
        except (DockerException, OSError) as error:
            raise engine.explain(error) from error

    async def diagnose(self) -> tuple[Check, ...]:
        """Find out what of Docker works here, for `codeact-bot doctor`."""
        return await engine.diagnose(self.image, self._runtime or "")

    async def aclose(self) -> None:
        """Wait for what is being removed, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._client is not None:
            self._client.close()

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.wrap_future(self._threads.submit(work, *arguments))

    def _connected(self) -> APIClient:
        with self._connecting:
            if self._client is None:
                self._client = engine.connect()
            else:
                engine.knock()
            return self._client

    def _mark(self) -> str:
        if self._owner is None:
            self._owner = owner.myself()
        return self._owner


def _attach(client: APIClient, container: str) -> socket.socket:
    """Attach to a container that is not started yet, so that nothing can be missed."""
    stream = client.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    try:
        return socket.socket(fileno=os.dup(stream.fileno()))
    finally:
        stream._response.close()


def _wait_until_removed(client: APIClient, container: str) -> None:
    with contextlib.suppress(NotFound):
        client.wait(container, condition="removed")


def _is_left(container: dict[str, Any]) -> bool:
    """Whether nobody will use or remove this container any more."""
    if container["State"] in ("exited", "dead") or owner.is_dead(container["Labels"].get(OWNER, "")):
        return True
    return bool(container["State"] == "created" and time.time() - container["Created"] > FORGOTTEN)
