"""The pages of the audit: runs, their totals, the chain; for auditors and admins alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from adapters.common.recording import record
from adapters.web.access import Viewer
from adapters.web.charts import charts
from adapters.web.filters import Filters, cursors_before
from adapters.web.pages import PLATFORMS
from adapters.web.rooms import address
from adapters.web.state import page, viewer_of, web_of
from codeact_bot.types import By, Deed, Ending, Run, Trail, Verdict, now

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
        await record(web_of(request).desk, Deed.REFUSED, viewer.author, subject=f"GET {request.scope['route'].path}", text=NOT_OPEN)
        raise HTTPException(403, NOT_OPEN)
    return viewer


async def runs(request: Request) -> Response:
    """The runs that the filters find, newest first; for htmx, the list by itself."""
    await auditor(request)
    filters, given = Filters.of(request.query_params), request.query_params
    cursor, before = given.get("cursor", "")[:500], cursors_before(given.get("before", ""))
    found = await web_of(request).desk.search(filters.query(limit=LISTED, cursor=cursor))
    pages = {"next": "", "previous": "", "newest": f"/audit?{filters.address}" if cursor else ""}
    if found.cursor:
        pages["next"] = _link("/audit", filters, cursor=found.cursor, before=".".join([*before, cursor or "-"]))
    if before:
        pages["previous"] = _link("/audit", filters, cursor=before[-1].strip("-"), before=".".join(before[:-1]))
    return _page(request, "runs", filters, runs=[(run, link(run)) for run in found.runs], pages=pages)


def link(run: Run) -> str:
    """Return where a run's whole transcript is."""
    query = "" if run.ending is None else f"?{urlencode({'at': run.turn})}#turn-{run.turn}"
    return f"{address(run.thread)}{query}"


async def totals(request: Request) -> Response:
    """What the runs that the filters find come to, as plots and as a table."""
    await auditor(request)
    filters, wanted = Filters.of(request.query_params), request.query_params.get("by", "")
    by = By(wanted) if wanted in set(By) else By.DAY
    query, recent = filters.query(), not filters.since and not filters.until
    if recent:
        midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
        query = replace(query, since=midnight - timedelta(days=DAYS - 1))
    found = await web_of(request).desk.totals(query, by)
    shown = list(found[-GROUPS:])[::-1] if by is By.DAY else list(found[:GROUPS])
    made = charts(found, by)
    return _page(request, "totals", filters, by=by, bys=list(By), totals=shown, left_out=len(found) - len(shown), charts=made, recent=recent)


async def chain(request: Request) -> Response:
    """The records of the chain, newest first."""
    await auditor(request)
    filters, given = Filters.of(request.query_params), request.query_params
    kind = given.get("kind", "")
    trail = Trail(
        kind=Deed(kind) if kind in set(Deed) else None,
        person=filters.person,
        since=filters.query().since,
        until=filters.query().until,
        limit=LISTED,
        cursor=given.get("cursor", "")[:500],
    )
    found = await web_of(request).desk.records(trail)
    more = _link("/audit/chain", filters, kind=kind, cursor=found.cursor) if found.cursor else ""
    return _page(request, "chain", filters, records=found.records, kind=kind, kinds=list(Deed), more=more, first=not trail.cursor)


async def verify(request: Request) -> Response:
    """Walk along the chain while the page arrives: how far it is, then what was found."""
    await auditor(request)
    head, _, tail = bytes(_page(request, "verify", Filters(), mark=PROGRESS).body).decode().partition(PROGRESS)

    async def pieces() -> AsyncIterator[str]:
        async with _turnstile(request):
            yield head
            async for found in web_of(request).desk.verify():
                yield _verdict(request, found) if isinstance(found, Verdict) else f"<li>{found:,} records</li>\n"
            yield tail

    if _turnstile(request).locked():
        raise HTTPException(429, BUSY)
    return StreamingResponse(pieces(), media_type="text/html; charset=utf-8")


def _verdict(request: Request, verdict: Verdict) -> str:
    return bytes(page(request, "audit_verdict.html", verdict=verdict).body).decode()


async def export(request: Request) -> Response:
    """All runs that the filters find, as a file that is written while it is sent; that it was asked for is recorded."""
    viewer, kind = await auditor(request), request.path_params["format"]
    if kind not in KINDS:
        raise HTTPException(404, "There is no such format. Choose csv, jsonl or parquet.")
    if _turnstile(request).locked():
        raise HTTPException(429, BUSY)
    web, filters = web_of(request), Filters.of(request.query_params)
    await record(web.desk, Deed.EXPORTED, viewer.author, subject=kind, text=filters.address or "all runs")
    pieces = web.desk.runs_file(filters.query(), kind)
    first = await anext(pieces, b"")

    async def rest() -> AsyncIterator[bytes]:
        async with _turnstile(request):
            yield first
            async for piece in pieces:
                yield piece

    return StreamingResponse(rest(), media_type=KINDS[kind], headers={"content-disposition": f'attachment; filename="runs.{kind}"'})


def _turnstile(request: Request) -> asyncio.Semaphore:
    return web_of(request).long_reads


def _link(path: str, filters: Filters, **further: str) -> str:
    return f"{path}?{urlencode({**filters.given, **{name: value for name, value in further.items() if value}})}"


def _page(request: Request, name: str, filters: Filters, **values: Any) -> Response:
    """Write a page of the audit, or what a change of its filters changes."""
    values |= {"part": name, "filters": filters, "platforms": PLATFORMS, "endings": STATES, "query": filters.address}
    whole = "hx-request" not in request.headers
    return page(request, f"audit_{name}.html", layout="audit_layout.html" if whole else "audit_bare.html", **values)
