"""The web chat: pages made by Starlette and Jinja2, brought up to date by server-sent events."""

from adapters.web.access import Gate, TokenGate, Viewer
from adapters.web.adapter import Site, WebAdapter

__all__ = ["Gate", "Site", "TokenGate", "Viewer", "WebAdapter"]
