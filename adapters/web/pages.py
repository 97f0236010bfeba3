"""The pages of the chat."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from adapters.web.state import page


async def home(request: Request) -> Response:
    """The conversations, and room for a new one."""
    return page(request, "home.html")
