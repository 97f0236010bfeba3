"""Secrets are left out of everything that is written or shown: the values of configured secrets, and what looks like a token or a private key.

The forms of tokens are those that their makers publish: docs.slack.dev (xoxb-, xapp-), docs.github.com (ghp_, github_pat_), docs.gitlab.com (glpat-),
docs.aws.amazon.com (AKIA, ASIA), docs.discord.com (a user's id in base64, a time, a signature), RFC 7519 (JWT), RFC 6750 (Bearer), RFC 7468 (private
keys), RFC 3986 (passwords in addresses); and for the rest those of the rules of gitleaks 8 and detect-secrets 1.5. Every pattern reads a text once,
whatever a sandbox printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from codeact_bot.types import (
    Action,
    Answer,
    CodeError,
    Completion,
    Entry,
    Execution,
    Glimpse,
    Incoming,
    Malformed,
    Outcome,
    Proposal,
    RunCode,
    Schedule,
    Step,
    Table,
)

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
    instead: str
    """What stands in its place: what of it may stay (the group `keep`), and that something was left out."""


def _form(name: str, markers: str, pattern: str) -> Form:
    keep = r"\g<keep>" if "(?P<keep>" in pattern else ""
    return Form(name, tuple(markers.split("|")), re.compile(pattern), f"{keep}{MARK}{name}]")


_START, _END, _DIGIT = r"(?<![A-Za-z0-9_-])", r"(?![A-Za-z0-9_-])", r"(?=[A-Za-z0-9_-]{0,200}\d)"
_SNOWFLAKE = r"(?:[MNO][DTjz][AEIMQUYcgk][wxyz0-5])"
"""Three digits in base64, as Discord's tokens begin with the digits of an id."""
_LINK = r"(?=[A-Za-z0-9_-]{0,31}[A-Z])(?=[A-Za-z0-9_-]{0,31}[a-z])[A-Za-z0-9_-]{32}"
"""A secret of a link to the web chat; hashes, which have no capitals, are none."""
_NO_PASSWORD = r"(?!(?:pass(?:word|wd)?|pwd|secret|token|key|changeme|example|x+|\.+|%s)@)"  # noqa: S105
"""What stands for a password in examples."""
FORMS = (
    _form("token", "codeact_", rf"{_START}codeact_[A-Za-z0-9_-]{{43}}{_END}"),
    _form("link", "?token=|&token=", rf"(?P<keep>[?&]token=){_LINK}{_END}"),
    _form("link", "/s/", rf"(?P<keep>/s/){_LINK}{_END}"),
    _form("Slack token", "xox|xapp-", rf"{_START}(?:xox[a-z](?:\.xox[a-z])?-|xapp-)[A-Za-z0-9-]{{10,}}"),
    _form("Slack webhook", "hooks.slack.com/", r"(?P<keep>hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9+/]{30,}"),
    _form("API key", "sk-", rf"{_START}sk-{_DIGIT}[A-Za-z0-9_-]{{16,}}"),
    _form("GitHub token", "ghp_|gho_|ghu_|ghs_|ghr_|github_pat_", rf"{_START}(?:gh[pousr]_[A-Za-z0-9]{{20,}}|github_pat_[A-Za-z0-9_]{{22,}})"),
    _form(
        "GitLab token",
        "gl",
        rf"{_START}gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-{_DIGIT}[A-Za-z0-9_-]{{20,}}(?:\.[A-Za-z0-9]{{2,12}}){{0,2}}",
    ),
    _form("AWS key", "AKIA|ASIA", r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])"),
    _form(
        "AWS key",
        "secret_access_key|SECRET_ACCESS_KEY|secretAccessKey|SecretAccessKey",
        r"""(?P<keep>(?:secret_access_key|SECRET_ACCESS_KEY|[sS]ecretAccessKey)\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])""",
    ),
    _form(
        "Discord token",
        "M|N|O",
        rf"{_START}{_SNOWFLAKE}{{5,6}}[A-Za-z]{{0,3}}\.[A-Za-z0-9_-]{{5,7}}\.[A-Za-z0-9_-]{{25,40}}{_END}",
    ),
    _form(
        "Google key",
        "AIza|GOCSPX-|ya29.",
        rf"{_START}(?:AIza[A-Za-z0-9_-]{{35}}{_END}|GOCSPX-[A-Za-z0-9_-]{{28}}{_END}|ya29\.[A-Za-z0-9_-]{{20,}})",
    ),
    _form("Stripe key", "_live_|_test_|whsec_", rf"{_START}(?:[srp]k_(?:live|test)_[A-Za-z0-9]{{16,}}|whsec_[A-Za-z0-9+/]{{32,}})"),
    _form("npm token", "npm_", rf"{_START}npm_[A-Za-z0-9]{{36}}{_END}"),
    _form("PyPI token", "pypi-AgE", rf"{_START}pypi-AgE[A-Za-z0-9_-]{{50,}}"),
    _form("Hugging Face token", "hf_", rf"{_START}hf_[A-Za-z0-9]{{34}}{_END}"),
    _form("token", "eyJ", rf"{_START}eyJ[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}"),
    _form("token", "earer |EARER ", r"(?:(?<=[Bb]earer )|(?<=BEARER ))(?=[^\s]{0,200}\d)[A-Za-z0-9._~+/=-]{16,}"),
    _form("password", "://", rf"(?P<keep>://[^\s/?#:@'\"<>{{}}$]{{0,100}}:){_NO_PASSWORD}[^\s/?#:@'\"<>{{}}$`\\]{{1,200}}(?=@)"),
    _form(
        "private key",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr])*[A-Za-z0-9+/=]{4}"
        r"(?:[A-Za-z0-9+/=\s\\:,]|-(?!----))*(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
)
_HEADS = (
    "codeact_", "xox", "xapp-", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-",
    "glimt-", "glagent-", "gloas-", "glsoat-", "AKIA", "ASIA", "AIza", "GOCSPX-", "ya29.", "sk_live_", "rk_live_", "pk_live_", "sk_test_", "rk_test_",
    "pk_test_", "whsec_", "npm_", "pypi-AgE", "hf_", "eyJ",
)  # fmt: skip
"""How the secrets begin that are a word; it goes on with letters, digits, dots and dashes."""
_BEFORE = (
    "Bearer ", "bearer ", "BEARER ", "?token=", "&token=", "/s/", "hooks.slack.com/", "secret_access_key", "SECRET_ACCESS_KEY", "secretAccessKey",
    "SecretAccessKey", "://", "-----BEGIN ",
)  # fmt: skip
"""What stands before others."""
_BEGUN = re.compile(
    rf"(?:{'|'.join(map(re.escape, _HEADS))})[A-Za-z0-9_.+/-]*\Z"
    r"|(?:[Bb]earer |BEARER |[?&]token=|/s/|hooks\.slack\.com/)[A-Za-z0-9._~+/=-]*\Z"
    r"|(?:secret_access_key|SECRET_ACCESS_KEY|[sS]ecretAccessKey)[\"'\s:=\\]{0,12}[A-Za-z0-9/+]*\Z"
    r"|[MNO](?:[DTjz](?:[AEIMQUYcgk](?:[wxyz0-5][A-Za-z0-9_.-]*)?)?)?\Z"
    r"|://[^\s/?#:@'\"<>{}$]{0,100}(?::[^\s/?#:@'\"<>{}$`\\]{0,200}@?)?\Z"
    r"|-----BEGIN [A-Z ]{0,48}-{0,5}\Z|-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s\\:,]|-(?!----))*(?:-----[A-Z -]{0,51})?\Z"
)


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
                text = form.pattern.sub(form.instead, text)
        return text

    def incoming(self, incoming: Incoming) -> Incoming:
        """Return a message without the secrets in its text."""
        return replace(incoming, text=self.text(incoming.text))

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return an outcome without secrets."""
        return replace(outcome, text=self.text(outcome.text))

    def glimpse(self, glimpse: Glimpse) -> Glimpse:
        """Return what a step shows without secrets."""
        notices = tuple(map(self.text, glimpse.notices))
        return replace(glimpse, thought=self.text(glimpse.thought), output=self.text(glimpse.output), notices=notices)

    def entry(self, entry: Entry) -> Entry:
        """Return an entry without the secrets in its text, in names of files, in changed settings, and in what it was done to."""
        changes = tuple(replace(each, before=self.text(each.before), after=self.text(each.after)) for each in entry.changes)
        files = tuple(replace(file, name=self.text(file.name)) for file in entry.files)
        return replace(entry, text=self.text(entry.text), subject=self.text(entry.subject), files=files, changes=changes)

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
            case Proposal(thought=thought, code=code):
                return Proposal(thought=self.text(thought), code=self.text(code))
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
        for whole in (*_HEADS, *_BEFORE, *self._redactor.values):
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
