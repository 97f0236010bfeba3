"""What a worker measures of itself, for Prometheus; docs/operations.md lists all of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector

from codeact_bot.observers import error_name, refinements, result_of
from codeact_bot.ports import Found, Model, Sandbox, Tell
from codeact_bot.types import (
    Activity,
    Answer,
    Backlog,
    Completion,
    Ending,
    Execution,
    Fire,
    Incoming,
    Malformed,
    Outcome,
    Proposal,
    RunCode,
    Snapshot,
    Status,
    Step,
    Turn,
    Work,
)

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds in seconds of what is over soon."""
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Bounds in seconds of what may take its time."""
SIZES = tuple(4.0**power * 1024 for power in range(10))
"""Bounds in bytes: 1 KiB to 256 MiB, the largest state that is kept."""
COUNTS = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20)
ACTIONS: Mapping[type, str] = {RunCode: "code", Proposal: "proposal", Answer: "answer", Malformed: "malformed"}


class Measures:
    """An Observer that counts and times; each worker has its own."""

    def __init__(self, version: str, model: Model, sandbox: Sandbox) -> None:
        """Begin at zero; what can be named beforehand is there from the beginning, so that its first increase is seen."""
        self.registry = registry = CollectorRegistry()
        self._version, self._model_used, self._sandbox = version, model, sandbox
        self._info = Info("codeact", "This worker: version, model and sandbox", registry=registry)
        self._turns = Counter("codeact_turns", "Turns that ended here", ["ending"], registry=registry)
        self._turn_seconds = Histogram("codeact_turn_seconds", "From the beginning of a turn to its end", buckets=SLOW, registry=registry)
        self._refinements = Histogram(
            "codeact_refinement_steps", "Failed steps on the way to an answer", buckets=COUNTS, registry=registry
        )
        self._steps = Counter("codeact_steps", "Steps, by what the model wanted", ["action"], registry=registry)
        self._errors = Counter("codeact_errors", "Errors of the model's code", ["type"], registry=registry)
        self._executions = Histogram("codeact_execution_seconds", "Running code", ["status"], buckets=SLOW, registry=registry)
        self._model = Histogram("codeact_model_seconds", "One completion, its retries included", ["result"], buckets=SLOW, registry=registry)
        self._retries = Counter("codeact_model_retries", "Requests to the model that were repeated", registry=registry)
        self._tokens = Counter("codeact_tokens", "Tokens; cached ones are input, too", ["kind"], registry=registry)
        self._cost = Counter("codeact_cost_dollars", "Cost of the model in US dollars", registry=registry)
        self._starts = Histogram("codeact_sandbox_start_seconds", "Starting a sandbox", ["purpose"], buckets=QUICK, registry=registry)
        self._restores = Histogram("codeact_restore_seconds", "Bringing a saved state into a sandbox", buckets=QUICK, registry=registry)
        self._snapshots = Histogram("codeact_snapshot_seconds", "Taking and saving a state", buckets=QUICK, registry=registry)
        self._sizes = Histogram("codeact_snapshot_bytes", "Size of a saved state", buckets=SIZES, registry=registry)
        self._deliveries = Histogram("codeact_delivery_seconds", "Bringing an answer to its platform", buckets=SLOW, registry=registry)
        self._claims = Histogram("codeact_claim_seconds", "Taking a message off the queue", buckets=QUICK, registry=registry)
        self._fired = Counter("codeact_scheduled_runs", "Runs of schedules that were due", ["result"], registry=registry)
        self._failures = Counter("codeact_failures", "Work of this worker that failed", ["work"], registry=registry)
        self._waiting = Gauge("codeact_waiting_messages", "Messages that nobody answers yet, all workers", registry=registry)
        self._waited = Gauge("codeact_waiting_seconds", "Age of the oldest of them", registry=registry)
        self._running = Gauge("codeact_running_turns", "Conversations under a live lease, all workers", registry=registry)
        self._held = Gauge("codeact_lease_seconds", "Age of the oldest of these leases", registry=registry)
        self._owed = Gauge("codeact_deliveries_owed", "Answers on their way to a platform, all workers", registry=registry)
        self._sandboxes = Gauge("codeact_sandboxes", "Sandboxes of this worker", ["state"], registry=registry)
        self._timed = {
            Activity.CLAIM: self._claims,
            Activity.RESTORE: self._restores,
            Activity.SNAPSHOT: self._snapshots,
            Activity.DELIVERY: self._deliveries,
        }
        self._store = Gauge("codeact_store_up", "Whether the store answered when this was read", registry=registry)
        ProcessCollector(registry=registry)
        self._name_all()

    def _name_all(self) -> None:
        for counter, values in (
            (self._turns, list(Ending)),
            (self._steps, ACTIONS.values()),
            (self._tokens, ("input", "cached", "output")),
            (self._fired, ("sent", "missed")),
            (self._failures, [each.value for each in Activity]),
        ):
            for value in values:
                counter.labels(value)
        for status in Status:
            self._executions.labels(status)
        for result in ("ok", "failed", "stopped"):
            self._model.labels(result)
        for purpose in ("pool", "conversation"):
            self._starts.labels(purpose)

    def text(self, backlog: Backlog | None, sandboxes: tuple[int, int]) -> tuple[bytes, str]:
        """Return all of it as Prometheus reads it, and the content type; without a backlog, what it says is left as it was."""
        self._info.info({"version": self._version, "model": self._model_used.name, "sandbox": self._sandbox.name})
        self._store.set(backlog is not None)
        if backlog is not None:
            self._waiting.set(backlog.waiting)
            self._waited.set(backlog.waiting_seconds)
            self._running.set(backlog.running)
            self._held.set(backlog.running_seconds)
            self._owed.set(backlog.owed)
        for state, count in zip(("ready", "taken"), sandboxes, strict=True):
            self._sandboxes.labels(state).set(count)
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    @contextmanager
    def during(self, work: Work) -> Iterator[Tell]:
        """Count and time a piece of work."""
        try:
            yield self._note
        except BaseException as error:
            self._end(work, result_of(error))
            raise
        self._end(work, "ok")

    def _end(self, work: Work, result: str) -> None:
        seconds = time.perf_counter() - work.since
        if result == "failed":
            self._failures.labels(work.what).inc()
        if work.what is Activity.MODEL:
            self._model.labels(result).observe(seconds)
        elif work.what is Activity.START and result == "ok":
            self._starts.labels("conversation" if work.thread else "pool").observe(seconds)
        elif work.what in self._timed and result == "ok":
            self._timed[work.what].observe(seconds)

    def _note(self, found: Found) -> None:
        match found:
            case Turn(outcome=Outcome()):
                self._turn(found)
            case Step():
                self._steps.labels(ACTIONS[type(found.action)]).inc()
                self._completion(found.completion)
            case Execution():
                self._executions.labels(found.status).observe(found.seconds)
                if name := error_name(found):
                    self._errors.labels(name).inc()
            case Snapshot():
                self._sizes.observe(sum(part.size for part in found.parts))
            case Incoming(fire=Fire(skipped=skipped)):
                self._fired.labels("missed" if skipped else "sent").inc()

    def _turn(self, turn: Turn) -> None:
        assert turn.outcome is not None
        self._turns.labels(turn.outcome.ending).inc()
        if turn.ended is not None:
            self._turn_seconds.observe((turn.ended - turn.started).total_seconds())
        if turn.outcome.ending is Ending.ANSWERED:
            self._refinements.observe(refinements(turn))

    def _completion(self, completion: Completion) -> None:
        usage = completion.usage
        for kind, count in (("input", usage.input_tokens), ("cached", usage.cached_tokens), ("output", usage.output_tokens)):
            self._tokens.labels(kind).inc(count)
        self._cost.inc(usage.cost)
        self._retries.inc(max(0, completion.attempts - 1))
