"""The HTTP server, inside the program's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator

import uvicorn
from starlette.types import ASGIApp

from codeact_bot.errors import ConfigurationInvalid

CANNOT = "The web chat cannot be served at {}:{} ({}). Set CODEACT_WEB to another address, or to off."
PATIENCE = 3
"""Seconds that answers under way have to come to their end."""


class _Server(uvicorn.Server):
    """A server that leaves the signals to the program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def host_and_port(at: str, setting: str) -> tuple[str, int]:
    """Read the value of a setting. Raises ConfigurationInvalid."""
    host, _, port = at.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationInvalid(f"{setting} is {at!r}; it has to be host and port, such as 127.0.0.1:8321, or off.")
    return host.strip("[]"), int(port)


def address(bound: socket.socket) -> str:
    """Return the address to ask for, on this machine where the socket listens everywhere."""
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def bind(host: str, port: int, *, or_any: bool, cannot: str = CANNOT) -> socket.socket:
    """Listen at an address; at another port where that one is taken and `or_any` allows it. Raises ConfigurationInvalid."""
    try:
        return _listening(host, port)
    except OSError as error:
        if or_any and port:
            return bind(host, 0, or_any=False, cannot=cannot)
        raise ConfigurationInvalid(cannot.format(host, port, error.strerror)) from None


def _listening(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


async def serve(app: ASGIApp, bound: socket.socket, leaving: asyncio.Event, close: Callable[[], None]) -> None:
    """Answer requests until cancelled or `leaving`; `close` then ends the streams that go on."""
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=PATIENCE
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="web server")
    asked = asyncio.create_task(leaving.wait(), name="web server's end")
    try:
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        close()
        server.should_exit = True
        await asyncio.wait([serving, asked])
    serving.result()
