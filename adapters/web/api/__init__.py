"""The HTTP API: what pages show and do, for programs; described by its own OpenAPI document."""

from adapters.web.api.contract import OPENAPI, routes

__all__ = ["OPENAPI", "routes"]
