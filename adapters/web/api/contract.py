"""The operations of the API in one table, from which both the routes and the OpenAPI document are made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.render import one_line
from adapters.web import deeds, downloads
from adapters.web.api import operations, views
from adapters.web.api.events import events
from adapters.web.api.parameters import AFTER, BEFORE, LIMIT, PLATFORM, SEARCH, SINCE, STATE, Parameter
from adapters.web.api.turns import TurnPage, TurnView

OPENAPI = "/api/openapi.json"
REFUSALS = {
    400: "What was sent cannot be read.",
    401: "There is no token, or it is not good.",
    403: "The caller's role does not allow this.",
    404: "There is no such thing, or it is not open to the caller.",
    409: "It does not wait for this any more.",
    413: "What was sent is too large.",
    415: "What was sent has a type that is not taken.",
    429: "These are too many requests; Retry-After says when to come again.",
    503: "The database does not answer.",
}
ALWAYS = (400, 401, 429, 503)
KINDS = ("md", "json", "ipynb", "jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that programs can do."""

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    said: str
    gives: Any = None
    """The view that it answers with, or a media type; None for no content."""
    status: int = 200
    query: Sequence[Parameter[Any]] = ()
    asks: bool = False
    """Whether it takes a question."""
    refusals: Sequence[int] = (404,)

    @property
    def name(self) -> str:
        """Its name in the document."""
        return f"{self.handler.__name__}"


THREAD, TURN = "/api/threads/{thread}", "/api/threads/{thread}/turns/{turn}"
OPERATIONS = (
    Operation(method="GET", path="/api/me", handler=operations.me, said="Who the caller is.", gives=views.MeView, refusals=()),
    Operation(
        method="GET",
        path="/api/threads",
        handler=operations.threads,
        said="List and search conversations, the last active first.",
        gives=views.ThreadPage,
        query=(SEARCH, PLATFORM, STATE, AFTER, LIMIT),
        refusals=(),
    ),
    Operation(
        method="POST",
        path="/api/threads",
        handler=operations.begin,
        said="Ask the first question of a new conversation.",
        gives=views.Receipt,
        status=202,
        asks=True,
        refusals=(403,),
    ),
    Operation(method="GET", path=THREAD, handler=operations.thread, said="One conversation.", gives=views.ThreadView),
    Operation(
        method="GET",
        path=f"{THREAD}/turns",
        handler=operations.turns,
        said="The turns of a conversation with their steps, the newest first; one that runs is the first.",
        gives=TurnPage,
        query=(BEFORE, LIMIT),
    ),
    Operation(method="GET", path=TURN, handler=operations.turn, said="One turn with its steps.", gives=TurnView),
    Operation(
        method="GET", path=f"{TURN}/files/{{digest}}", handler=downloads.file, said="A file of a turn.", gives="application/octet-stream"
    ),
    Operation(
        method="POST",
        path=f"{THREAD}/questions",
        handler=operations.ask,
        said="Ask in a conversation. The question is kept when this returns, and answered in its turn.",
        gives=views.Receipt,
        status=202,
        asks=True,
        refusals=(403, 404),
    ),
    Operation(
        method="GET",
        path=f"{THREAD}/events",
        handler=events,
        said="Follow a conversation by server-sent events: `turn` for each turn that has ended, `progress` for one that runs, `rest` at the end.",
        gives="text/event-stream",
        query=(SINCE,),
    ),
    Operation(
        method="POST",
        path=f"{TURN}/approve/{{digest}}",
        handler=deeds.approve,
        said="Let the code with this SHA-256 run that a turn waits to run (`proposal`); what comes of it is a turn of its own.",
        status=204,
        refusals=(403, 404, 409),
    ),
    Operation(
        method="POST",
        path=f"{TURN}/decline/{{digest}}",
        handler=deeds.decline,
        said="Do not let the code with this SHA-256 run that a turn waits to run.",
        status=204,
        refusals=(403, 404, 409),
    ),
    Operation(method="POST", path=f"{THREAD}/stop", handler=deeds.stop, said="Stop what runs.", status=204, refusals=(403, 404)),
    Operation(
        method="GET",
        path=f"{THREAD}/export/{{kind}}",
        handler=downloads.export,
        said="The whole conversation as a file.",
        gives="*/*",
    ),
    Operation(
        method="GET", path="/api/schedules", handler=operations.schedules, said="What is asked by the clock.", gives=views.ScheduleList, refusals=()
    ),
)


def routes() -> Sequence[BaseRoute]:
    """The routes of the API, and that of its document."""
    paths: dict[str, dict[str, Operation]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method] = each
    return [*(Route(path, _endpoint(methods), methods=list(methods)) for path, methods in paths.items()), Route(OPENAPI, described)]


def _endpoint(methods: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
    """Answer the methods of one path."""

    async def endpoint(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        unknown = set(request.query_params) - {parameter.name for parameter in operation.query}
        if unknown:
            raise HTTPException(400, f"There is no parameter {one_line(min(unknown), 40)!r} here. {OPENAPI} says which there are.")
        return await operation.handler(request)

    return endpoint


async def described(request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(document())


@cache
def document() -> Mapping[str, Any]:
    """Write the document from the table."""
    given = {each.gives for each in OPERATIONS if isinstance(each.gives, type)} | {views.Problem, views.Question}
    shapes = sorted(given, key=lambda cls: cls.__name__)
    adapters: list[tuple[Any, Any, TypeAdapter[Any]]] = [(cls, "serialization", TypeAdapter(cls)) for cls in shapes]
    _, schemas = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schemas["$defs"]
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "codeact-bot", "version": "1", "description": "Conversations whose only action is Python."},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}, "schemas": definitions},
        "paths": paths,
    }


def _operation(each: Operation) -> dict[str, Any]:
    refusals = sorted({*ALWAYS, *each.refusals, *((413, 415) if each.asks else ())})
    made: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.said,
        "parameters": [*map(_in_path, re.findall(r"{(\w+)}", each.path)), *(parameter.described() for parameter in each.query)],
        "responses": {str(each.status): _answer(each), **{str(status): _refusal(status) for status in refusals}},
    }
    return made | ({"requestBody": _asking()} if each.asks else {})


def _in_path(name: str) -> dict[str, Any]:
    schema = {"enum": list(KINDS)} if name == "kind" else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _answer(each: Operation) -> dict[str, Any]:
    if each.gives is None:
        return {"description": "Done."}
    if isinstance(each.gives, str):
        return {"description": each.said, "content": {each.gives: {}}}
    return {"description": each.said, "content": {"application/json": {"schema": _ref(each.gives)}}}


def _refusal(status: int) -> dict[str, Any]:
    return {"description": REFUSALS[status], "content": {"application/json": {"schema": _ref(views.Problem)}}}


def _asking() -> dict[str, Any]:
    fields = {
        "text": {"type": "string", "minLength": 1, "maxLength": views.TEXT},
        "key": {"type": "string", "maxLength": 64},
        "files": {"type": "array", "maxItems": 20, "items": {"type": "string", "format": "binary"}},
    }
    form = {"type": "object", "properties": fields, "required": ["text"], "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": _ref(views.Question)}, "multipart/form-data": {"schema": form}}}


def _ref(cls: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{cls.__name__}"}
