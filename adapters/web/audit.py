"""The pages of the audit: runs, their totals, the chain; for auditors and admins alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adapters.common.recording import look, record
from adapters.web.access import Viewer
from adapters.web.charts import charts
from adapters.web.filters import Filters, cursors_before
from adapters.web.labels import detail_of, link, moment, narrowed, place
from adapters.web.longread import LongRead, unless_left
from adapters.web.pages import PLATFORMS
from adapters.web.state import page, templates, viewer_of, web_of
from codeact_bot.errors import QueryInvalid
from codeact_bot.types import By, Deed, Ending, Trail, Verdict, now

LISTED = 50
"""Runs, and records, of one page."""
DAYS = 30
"""Days that totals reach back unless told otherwise."""
GROUPS = 200
"""Lines of a table of totals."""
NOT_OPEN = "The audit is open to auditors and admins. Ask an admin to be made one; see docs/access.md."
BUSY = "The chain is being verified, or runs are being exported, for others. Try again in a minute."
STATES = {str(each): "out of budget" if each is Ending.LIMIT else str(each) for each in Ending}
KINDS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}
PROGRESS = "<!-- progress -->"


def routes() -> list[BaseRoute]:
    """Every page of the audit."""
    return [
        Route("/audit", runs),
        Route("/audit/totals", totals),
        Route("/audit/chain", chain),
        Route("/audit/chain/verify", verify),
        Route("/audit/export/{format}", export),
    ]


async def auditor(request: Request) -> Viewer:
    """The person behind a request, who may see everything. Raises HTTPException; a refusal is recorded."""
    viewer = viewer_of(request)
    if not viewer.sees_all:
        await record(web_of(request).desk, Deed.REFUSED, viewer.author, subject=_route(request), text=NOT_OPEN)
        raise HTTPException(403, NOT_OPEN)
    return viewer


async def reader(request: Request) -> Viewer:
    """The same for somebody who looks at a list, which is recorded."""
    viewer = await auditor(request)
    await web_of(request).desk.record(look(Deed.VIEWED, viewer.author, _route(request)))
    return viewer


async def runs(request: Request) -> Response:
    """The runs that the filters find, newest first; for htmx, the list by itself."""
    await reader(request)
    filters, cursor = Filters.of(request.query_params), _cursor(request)
    found = await web_of(request).desk.search(filters.query(limit=LISTED, cursor=cursor))
    pages = _pages(request, "/audit", filters.given, found.cursor)
    return _page(request, "runs", filters, runs=[(run, link(run.thread, run.turn, run.ending is not None)) for run in found.runs], pages=pages)


async def totals(request: Request) -> Response:
    """What the runs that the filters find come to, as plots and as a table."""
    await reader(request)
    filters, wanted = Filters.of(request.query_params), request.query_params.get("by", "")
    by = By(wanted) if wanted in set(By) else By.DAY
    query, recent = filters.query(), not filters.since and not filters.until
    if recent:
        midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
        query = replace(query, since=midnight - timedelta(days=DAYS - 1))
    try:
        found, refused = await web_of(request).desk.totals(query, by), ""
    except QueryInvalid as error:
        found, refused = (), str(error)
    shown = list(found[-GROUPS:])[::-1] if by is By.DAY else list(found[:GROUPS])
    bounds = {"since": f"{query.since:%Y-%m-%d}"} if recent and query.since else {}
    lines = [(total, narrowed({**bounds, **filters.given}, by, total.name)) for total in shown]
    values = {"by": by, "bys": [(each, each) for each in By], "left_out": len(found) - len(shown), "recent": recent, "refused": refused}
    return _page(request, "totals", filters, {"by": by} if by is not By.DAY else {}, totals=lines, charts=charts(found, by), **values)


async def chain(request: Request) -> Response:
    """The records of the chain, newest first."""
    await reader(request)
    filters, kind = Filters.of(request.query_params), request.query_params.get("kind", "")
    asked = filters.query()
    wanted = Deed(kind) if kind in set(Deed) else None
    trail = Trail(kind=wanted, person=filters.person, since=asked.since, until=asked.until, limit=LISTED, cursor=_cursor(request))
    found = await web_of(request).desk.records(trail)
    further = {"kind": kind} if wanted else {}
    pages = _pages(request, "/audit/chain", {**filters.given, **further}, found.cursor)
    records = [(each, link(each.entry.thread, each.entry.turn) if each.entry.thread else "") for each in found.records]
    return _page(request, "chain", filters, further, records=records, kind=kind, kinds=[(each, each) for each in Deed], pages=pages)


async def verify(request: Request) -> Response:
    """Walk along the chain while the page arrives: how far it is, then what was found."""
    await auditor(request)
    head, _, tail = bytes(_page(request, "verify", Filters(), mark=PROGRESS).body).decode().partition(PROGRESS)

    async def pieces(walk: AsyncIterator[int | Verdict]) -> AsyncGenerator[str]:
        yield head
        async for found in walk:
            yield _verdict(request, found) if isinstance(found, Verdict) else f"<li>{found:,} records</li>\n"
        yield tail

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_turn(request))
        walk = await stack.enter_async_context(aclosing(web_of(request).desk.verify()))
        return LongRead(pieces(walk), "text/html; charset=utf-8", stack.pop_all())


def _verdict(request: Request, verdict: Verdict) -> str:
    return bytes(page(request, "audit_verdict.html", verdict=verdict).body).decode()


async def export(request: Request) -> Response:
    """All runs that the filters find, as a file that is written while it is sent; that it was asked for is recorded."""
    viewer, kind = await auditor(request), request.path_params["format"]
    if kind not in KINDS:
        raise HTTPException(404, "There is no such format. Choose csv, jsonl or parquet.")
    web, filters = web_of(request), Filters.of(request.query_params)

    async def whole(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        yield first
        async for piece in rest:
            yield piece

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_turn(request))
        await record(web.desk, Deed.EXPORTED, viewer.author, subject=kind, text=filters.address or "all runs")
        pieces = await stack.enter_async_context(aclosing(web.desk.runs_file(filters.query(), kind)))
        try:
            first = await unless_left(request, anext(pieces, b""))
        except ClientDisconnect:
            return Response(status_code=204)
        return LongRead(whole(first, pieces), KINDS[kind], stack.pop_all(), {"content-disposition": f'attachment; filename="runs.{kind}"'})


def _turn(request: Request) -> asyncio.Semaphore:
    """Return what lets few read long at once. Raises HTTPException where all turns are taken."""
    turnstile = web_of(request).long_reads
    if turnstile.locked():
        raise HTTPException(429, BUSY)
    return turnstile


def _route(request: Request) -> str:
    return f"{request.method} {request.scope['route'].path}"


def _cursor(request: Request) -> str:
    return request.query_params.get("cursor", "")[:500]


def _address(path: str, given: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(given)}" if given else path


def _pages(request: Request, path: str, given: Mapping[str, str], following: str) -> dict[str, str]:
    """Return the addresses of the pages around one; empty where there is none. The keyboard goes on in the list."""
    cursor, before = _cursor(request), cursors_before(request.query_params.get("before", ""))

    def to(cursor: str, before: Sequence[str]) -> str:
        places = {**given, "cursor": cursor, "before": ".".join(before)}
        return _address(path, {name: value for name, value in places.items() if value}) + "#found"

    return {
        "newest": to("", ()) if cursor else "",
        "previous": to(before[-1].strip("-"), before[:-1]) if before else "",
        "next": to(following, [*before, cursor or "-"]) if following else "",
    }


def _page(request: Request, name: str, filters: Filters, further: Mapping[str, str] | None = None, **values: Any) -> Response:
    """Write a page of the audit, or what a change of its filters changes; `further` is what its address has besides the filters."""
    values |= {"part": name, "filters": filters, "platforms": PLATFORMS, "endings": STATES, "query": filters.address}
    values["address"] = _address(request.url.path, {**filters.given, **(further or {})})
    whole = "hx-request" not in request.headers
    return page(request, f"audit_{name}.html", layout="audit_layout.html" if whole else "audit_bare.html", **values)


templates().filters |= {"moment": moment, "place": place}
templates().globals["detail_of"] = detail_of
