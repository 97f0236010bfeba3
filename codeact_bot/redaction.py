"""Secrets are left out of everything that is written or shown: the values of configured secrets, and what looks like a token or a private key.

The forms of tokens are those that their makers publish: docs.slack.dev (xoxb-, xapp-), docs.github.com (ghp_, github_pat_), docs.aws.amazon.com
(AKIA, ASIA), RFC 7519 (JWT), RFC 6750 (Bearer), RFC 7468 (private keys). Every pattern reads a text once, whatever a sandbox printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from codeact_bot.types import Action, Answer, CodeError, Completion, Entry, Execution, Incoming, Malformed, Outcome, RunCode, Schedule, Step, Table

MARK = "[redacted: "
"""How a text goes on where a secret stood."""
LEFT_OUT = f"A secret was left out of what came back: it reads {MARK}…]."
SHORTEST = 8
"""Characters of a configured secret at least; a shorter one would take ordinary words with it."""
HELD = 8_192
"""Characters at the end of a stream that are held back at most, where a secret may have begun."""


@dataclass(frozen=True, slots=True)
class Form:
    """What one kind of secret looks like."""

    name: str
    markers: tuple[str, ...]
    """Without one of these in the text, the pattern need not be tried."""
    pattern: re.Pattern[str]


def _form(name: str, markers: str, pattern: str) -> Form:
    return Form(name, tuple(markers.split("|")), re.compile(pattern))


_START, _DIGIT = r"(?<![A-Za-z0-9_-])", r"(?=[A-Za-z0-9_-]{0,200}\d)"
FORMS = (
    _form("Slack token", "xox|xapp-", rf"{_START}(?:xox[a-z](?:\.xox[a-z])?-|xapp-)[A-Za-z0-9-]{{10,}}"),
    _form("API key", "sk-", rf"{_START}sk-{_DIGIT}[A-Za-z0-9_-]{{16,}}"),
    _form("GitHub token", "ghp_|gho_|ghu_|ghs_|ghr_|github_pat_", rf"{_START}(?:gh[pousr]_[A-Za-z0-9]{{20,}}|github_pat_[A-Za-z0-9_]{{22,}})"),
    _form("AWS key", "AKIA|ASIA", r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])"),
    _form("token", "eyJ", rf"{_START}eyJ[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}"),
    _form("token", "earer |EARER ", r"(?:(?<=[Bb]earer )|(?<=BEARER ))(?=[^\s]{0,200}\d)[A-Za-z0-9._~+/=-]{16,}"),
    _form(
        "private key",
        "PRIVATE KEY-----",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:\s|\\[nr])*[A-Za-z0-9+/=]{4}"
        r"(?:[A-Za-z0-9+/=\s\\:,]|-(?!----))*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?",
    ),
)
_BEGUN = re.compile(
    r"(?:xox|xapp-|sk-|gh[pousr]_|github_pat_|AKIA|ASIA|eyJ)[A-Za-z0-9_.-]*\Z"
    r"|[Bb]earer [A-Za-z0-9._~+/=-]*\Z|BEARER [A-Za-z0-9._~+/=-]*\Z"
    r"|-----BEGIN [A-Z ]{0,42}-{0,5}\Z|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,]|-(?!----))*(?:-----[A-Z -]{0,45})?\Z"
)
_MARKERS = ("xox", "xapp-", "sk-", "ghp_", "github_pat_", "AKIA", "ASIA", "eyJ", "Bearer ", "bearer ", "BEARER ", "-----BEGIN ")


class Redactor:
    """Leaves secrets out of texts."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        """Know the configured secrets: their names, which a reader is told, and their values."""
        known = {value: name for name, value in (secrets or {}).items() if len(value) >= SHORTEST}
        self.values = sorted(known, key=len, reverse=True)
        self._names = known

    def text(self, text: str) -> str:
        """Return a text without its secrets; the same object where it has none."""
        for value in self.values:
            if value in text:
                text = text.replace(value, f"{MARK}{self._names[value]}]")
        for form in FORMS:
            if any(marker in text for marker in form.markers):
                text = form.pattern.sub(f"{MARK}{form.name}]", text)
        return text

    def incoming(self, incoming: Incoming) -> Incoming:
        """Return a message without the secrets in its text."""
        return replace(incoming, text=self.text(incoming.text))

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return an outcome without secrets."""
        return replace(outcome, text=self.text(outcome.text))

    def entry(self, entry: Entry) -> Entry:
        """Return an entry without the secrets in its text."""
        return replace(entry, text=self.text(entry.text))

    def schedule(self, schedule: Schedule) -> Schedule:
        """Return a schedule without the secrets in its question."""
        order = replace(schedule.order, when=self.text(schedule.order.when), question=self.text(schedule.order.question))
        return replace(schedule, order=order)

    def completion(self, completion: Completion) -> Completion:
        """Return what the model said without secrets."""
        return replace(completion, text=self.text(completion.text))

    def step(self, step: Step) -> Step:
        """Return a step without secrets."""
        return replace(
            step,
            completion=self.completion(step.completion),
            action=self._action(step.action),
            execution=None if step.execution is None else self.execution(step.execution),
            observation=self.text(step.observation),
        )

    def _action(self, action: Action) -> Action:
        match action:
            case RunCode(thought=thought, code=code):
                return RunCode(thought=self.text(thought), code=self.text(code))
            case Answer(text=text):
                return Answer(text=self.text(text))
            case Malformed(thought=thought, code=code):
                return replace(action, thought=self.text(thought), code=self.text(code))

    def execution(self, execution: Execution) -> Execution:
        """Return what code came to without secrets."""
        found = replace(
            execution,
            output=self.text(execution.output),
            value=None if execution.value is None else self.text(execution.value),
            error=None if execution.error is None else self._error(execution.error),
            tables=tuple(map(self._table, execution.tables)),
        )
        return execution if found == execution else replace(found, notes=(*found.notes, LEFT_OUT))

    def _error(self, error: CodeError) -> CodeError:
        return replace(error, message=self.text(error.message), traceback=self.text(error.traceback))

    def _table(self, table: Table) -> Table:
        whole = "\n".join(cell for row in (table.columns, *table.rows) for cell in row)
        if self.text(whole) == whole:
            return table
        rows = tuple(tuple(map(self.text, row)) for row in table.rows)
        return replace(table, columns=tuple(map(self.text, table.columns)), rows=rows)

    def stream(self) -> Stream:
        """Begin a text that comes in pieces."""
        return Stream(self)


class Stream:
    """A text that comes in pieces; what may be the beginning of a secret is held back until the rest of it has come."""

    def __init__(self, redactor: Redactor) -> None:
        """Begin with nothing."""
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece; returns what can be shown."""
        text = self._held + piece
        cut = self._begun(text)
        self._held = text[cut:]
        return self._redactor.text(text[:cut])

    def end(self) -> str:
        """Return what was held back, at the end of the text."""
        held, self._held = self._held, ""
        return self._redactor.text(held)

    def _begun(self, text: str) -> int:
        """Return where a secret may have begun that is not complete."""
        floor = max(0, len(text) - HELD)
        found = _BEGUN.search(text, floor)
        places = [found.start()] if found else [len(text)]
        for whole in (*_MARKERS, *self._redactor.values):
            for length in range(min(len(whole) - 1, len(text) - floor), 0, -1):
                if text.endswith(whole[:length]):
                    places.append(len(text) - length)
                    break
        return self._outside(text, min(places))

    def _outside(self, text: str, cut: int) -> int:
        """Move a cut that goes through a configured secret to before it."""
        for value in self._redactor.values:
            start = text.rfind(value, max(0, cut - len(value) + 1), cut + len(value) - 1)
            if 0 <= start < cut:
                cut = start
        return cut
