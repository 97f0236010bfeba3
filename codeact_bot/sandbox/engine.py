"""The Docker engine: how to reach it, what its refusals mean, and what works there."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from docker import APIClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, ImageNotFound

from codeact_bot.errors import CodeactError, ImageUnavailable, SandboxUnavailable
from codeact_bot.types import Check

T = TypeVar("T")

TIMEOUT = 60
"""Seconds that the engine may take for one answer."""
CONNECTIONS = 32


def address() -> str:
    """Return where the engine is: DOCKER_HOST, else what `docker context use` chose."""
    if given := os.environ.get("DOCKER_HOST"):
        return given
    context = ContextAPI.get_current_context()
    return str(context.Host) if context and context.Host else "unix:///var/run/docker.sock"


def connect() -> APIClient:
    """Open a client. Raises SandboxUnavailable."""
    if not address().startswith(("unix://", "tcp://", "http://")) or os.environ.get("DOCKER_TLS_VERIFY"):
        raise SandboxUnavailable(
            f"Docker at {address()} is reached over TLS or SSH, which carries no sandbox; "
            "forward its socket (ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and set DOCKER_HOST=unix:///tmp/docker.sock."
        )
    try:
        knock()
        return APIClient(base_url=address(), version="auto", timeout=TIMEOUT, max_pool_size=CONNECTIONS)
    except (DockerException, OSError) as error:
        raise explain(error) from error


def knock() -> None:
    """Connect to the engine's Unix socket once, before docker-py does: it leaks its own where nobody listens. Raises OSError."""
    if address().startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(TIMEOUT)
            knocking.connect(address().removeprefix("unix://"))


def explain(error: Exception, *, image: str = "", runtime: str = "") -> CodeactError:
    """Turn an error of docker-py into a sentence with a remedy."""
    if isinstance(error, ImageNotFound):
        return ImageUnavailable(f"The sandbox image {image} is not there any more. Run `codeact-bot doctor`, then try again.")
    if isinstance(error, APIError):
        return _refused(str(error.explanation or error).strip().rstrip("."), image, runtime)
    if isinstance(error, PermissionError):
        return SandboxUnavailable(
            f"Docker at {address()} does not let this user in. Join the group `docker` (sudo usermod -aG docker $USER) and log in again."
        )
    if isinstance(error, OSError) or "connection" in str(error).lower():
        return SandboxUnavailable(
            f"Could not reach Docker at {address()}. Is it running? Start it (sudo systemctl start docker, or Docker Desktop), "
            "or say with DOCKER_HOST where it is."
        )
    return SandboxUnavailable(f"Docker at {address()} does not answer as it should: {error}. See `docker info`.")


def _refused(reason: str, image: str, runtime: str) -> CodeactError:
    if 'exec: "python3"' in reason:
        return ImageUnavailable(f"The image {image} has no python3. Set CODEACT_IMAGE to an image with Python 3.9 or newer.")
    if runtime and re.search("unknown (or invalid )?runtime", reason, re.IGNORECASE):
        return unknown_runtime(runtime)
    return SandboxUnavailable(f"Docker could not start a sandbox: {reason}. `codeact-bot doctor` shows what works here.")


def unknown_runtime(runtime: str) -> SandboxUnavailable:
    """Make the error for a runtime that the engine does not have."""
    return SandboxUnavailable(
        f"Docker has no runtime named {runtime}. Install it and add it under `runtimes` in Docker's daemon.json "
        "(for gVisor: sudo runsc install), or leave CODEACT_DOCKER_RUNTIME empty."
    )


async def aside(work: Callable[[], T]) -> T:
    """Run blocking work in a thread of its own that holds up neither the event loop nor the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name="docker", daemon=True).start()
    return await done


async def diagnose(image: str, runtime: str) -> tuple[Check, ...]:
    """Find out what of Docker works here: the engine, its runtimes (`runtime` must be one, if any is named), its limits, the image."""
    return await aside(lambda: _diagnose(image, runtime))


def _diagnose(image: str, runtime: str) -> tuple[Check, ...]:
    try:
        client = connect()
    except SandboxUnavailable as error:
        what, _, remedy = str(error).partition(". ")
        return (Check(name="Docker", ok=False, text=f"{what}.", remedy=remedy),)
    try:
        info = client.info()
        there = bool(client.images(name=image))
    except (DockerException, OSError) as error:
        return (Check(name="Docker", ok=False, text=str(explain(error))),)
    finally:
        client.close()
    engine = Check(name="Docker", ok=True, text=f"version {info['ServerVersion']} at {address()}")
    return (engine, _runtimes(info, runtime), _limits(info), _image(image, there))


def _runtimes(info: dict[str, Any], runtime: str) -> Check:
    if runtime and runtime not in info["Runtimes"]:
        return Check(name="Docker runtimes", ok=False, text=f"no {runtime}", remedy=str(unknown_runtime(runtime)))
    names = sorted(name for name in info["Runtimes"] if not name.startswith("io.containerd"))
    return Check(name="Docker runtimes", ok=True, text=f"{', '.join(names)}; {info['DefaultRuntime']} is the default")


def _limits(info: dict[str, Any]) -> Check:
    wanted = {"memory": "MemoryLimit", "CPU": "CpuCfsQuota", "processes": "PidsLimit"}
    missing = [name for name, key in wanted.items() if not info.get(key)]
    if not missing:
        return Check(name="Docker limits", ok=True, text=f"{', '.join(wanted)} (cgroup v{info.get('CgroupVersion', '1')})")
    remedy = "Enable these cgroup controllers; rootless Docker needs cgroup v2 with delegation."
    return Check(name="Docker limits", ok=False, text=f"no limits on {', '.join(missing)}", remedy=remedy)


def _image(image: str, there: bool) -> Check:
    return Check(name="Sandbox image", ok=True if there else None, text=image if there else f"{image} is built on first use")
