"""Traces of turns, sent to an OpenTelemetry collector; they carry ids and figures, never what anybody wrote and no code."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from codeact_bot.observers import error_name, result_of
from codeact_bot.ports import Found, Tell
from codeact_bot.types import Activity, Execution, Fire, Incoming, Outcome, Snapshot, Step, Turn, Work

TRACES = "/v1/traces"
"""Path of a collector that takes traces (OTLP specification 1.x, OTLP/HTTP)."""
CONVERSATION, TURN, STEP = "codeact.conversation", "codeact.turn", "codeact.step"
Attributes = Mapping[str, AttributeValue]


class Traces:
    """An Observer that makes a span of each piece of work, within that of its turn."""

    def __init__(self, tracer: Tracer) -> None:
        """Make spans with a tracer."""
        self._tracer = tracer

    @contextmanager
    def during(self, work: Work) -> Iterator[Tell]:
        """Make a span that lasts as long as the body."""
        began = time.time_ns() - int((time.perf_counter() - work.since) * 1e9)
        made = self._tracer.start_span(work.what, context=_context(work), attributes=_inherited(work), start_time=began)

        def tell(found: Found) -> None:
            made.set_attributes(_told(found))

        with trace.use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield tell
            except BaseException as error:
                result = result_of(error)
                made.set_attribute("codeact.result", result)
                if result == "failed":
                    made.set_status(StatusCode.ERROR, type(error).__name__)
                raise


def _context(work: Work) -> Context | None:
    """Return the context to begin in: that of the work around; none for a turn, and for what is done for nobody in particular."""
    return Context() if work.what is Activity.TURN or work.thread is None else None


def _inherited(work: Work) -> Attributes:
    """Return the ids of a span; those that it does not say are those of the work around it."""
    around = trace.get_current_span(_context(work))
    known = around.attributes or {} if isinstance(around, ReadableSpan) else {}
    own = {CONVERSATION: work.thread, TURN: work.turn, STEP: work.step}
    return {name: known[name] for name in (CONVERSATION, TURN) if name in known} | {
        name: value for name, value in own.items() if value not in (None, "")
    }


def _told(found: Found) -> Attributes:
    match found:
        case Turn(outcome=Outcome() as outcome):
            usage = found.usage
            figures = {"steps": len(found.steps), "tokens": usage.tokens, "cost_dollars": usage.cost}
            return _named(ending=outcome.ending, limit=outcome.limit, **figures)
        case Turn():
            return {TURN: found.id, **_named(resumed=found.resumed)}
        case Step(completion=completion):
            usage = completion.usage
            tokens = {"input_tokens": usage.input_tokens, "cached_tokens": usage.cached_tokens, "output_tokens": usage.output_tokens}
            return _named(model=completion.model, attempts=completion.attempts, action=type(found.action).__name__, **tokens)
        case Execution():
            return _named(status=found.status, error=error_name(found), code_seconds=found.seconds)
        case Snapshot():
            return _named(bytes=sum(part.size for part in found.parts), parts=len(found.parts))
        case Incoming(fire=Fire() as fire):
            return _named(schedule=fire.schedule, missed=fire.skipped)
    return {}


def _named(**values: AttributeValue) -> Attributes:
    return {f"codeact.{name}": value for name, value in values.items() if value != ""}


@asynccontextmanager
async def tracing(collector: str, version: str) -> AsyncIterator[Traces]:
    """Send spans to a collector's address, such as http://127.0.0.1:4318, in the background; what is left is sent at the end."""
    address = collector.rstrip("/")
    exporter = OTLPSpanExporter(address if address.endswith(TRACES) else address + TRACES)
    provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield Traces(provider.get_tracer("codeact_bot", version))
    finally:
        await asyncio.to_thread(provider.shutdown)


def _resource(version: str) -> Resource:
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "codeact-bot"}
    return Resource.create({**named, SERVICE_VERSION: version})
