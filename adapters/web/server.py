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


def bind(host: str, port: int, *, or_any: bool) -> socket.socket:
    """Listen at an address; at another port where that one is taken and `or_any` allows it. Raises ConfigurationInvalid."""
    try:
        return _listening(host, port)
    except OSError as error:
        if or_any and port:
            return bind(host, 0, or_any=False)
        raise ConfigurationInvalid(CANNOT.format(host, port, error.strerror)) from None


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
