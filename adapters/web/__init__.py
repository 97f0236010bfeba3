"""The web chat: pages made by Starlette and Jinja2, brought up to date by server-sent events."""

from adapters.web.access import Gate, Viewer
from adapters.web.adapter import Site, WebAdapter
from adapters.web.link import TokenGate
from adapters.web.operations import Operations, served

__all__ = ["Gate", "Operations", "Site", "TokenGate", "Viewer", "WebAdapter", "served"]
