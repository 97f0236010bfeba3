"""What can go wrong between us and a model's server, in sentences for people."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from codeact_bot.errors import CodeactError, ModelRefused, ModelUnavailable

PATIENCE = 60.0
"""Seconds that a server may ask us to wait before we say so instead; the `openai` package draws the same line."""

_SECRET = re.compile(r"\b(sk|pk|key|Bearer)([-_ ])[\w*.\-]{6,}")
_TOO_LONG = re.compile(
    r"context.{0,12}(length|window|size|limit)|too many (input )?tokens|(prompt|input) is too long|maximum.{0,20}tokens", re.IGNORECASE
)
_UNKNOWN_MODEL = re.compile(r"model\b.*(not found|not exist|not a valid|not supported|unknown)|(invalid|unknown) model", re.IGNORECASE)
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Whom we talk to, for error texts."""

    url: str
    model: str
    key: str | None
    official: bool
    """Whether it is OpenAI itself, where no address was given."""

    @property
    def shown(self) -> str:
        """The address without credentials."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def clean(self, text: object) -> str:
        """Return text from the server on one line, bounded, without anything that looks like a key."""
        said = " ".join(str(text).split())
        if self.key:
            said = said.replace(self.key, "[key]")
        said = _SECRET.sub("[key]", said)
        return said if len(said) <= 300 else said[:300] + " …"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why one attempt failed."""

    error: CodeactError
    """What the person is told when no attempt is left."""
    retry: bool
    wait: float | None = None
    """Seconds that the server asked us to wait."""
    unknown_model: bool = False
    usage_refused: bool = False
    """The server does not know `stream_options`: it is to be asked again without."""


def refused(text: str) -> Fault:
    """A fault that no retry mends."""
    return Fault(error=ModelRefused(text), retry=False)


def unavailable(text: str, wait: float | None = None) -> Fault:
    """A fault that a retry may mend."""
    return Fault(error=ModelUnavailable(text), retry=True, wait=wait)


def fault_of(error: Exception, server: Server) -> Fault:
    """Tell what an exception of the `openai` package, or of its transport, means."""
    status = _status(error)
    if status is not None:
        return _of_status(status, error, server)
    name = type(error).__name__
    if "Timeout" in name:
        return unavailable(f"The model at {server.shown} did not answer in time. Try again, or raise the time-outs if it is a slow server.")
    if name == "APIConnectionError" or "Connect" in name:
        remedy = "Is this machine online?" if server.official else "Is the server running, and is OPENAI_BASE_URL right?"
        return unavailable(f"Could not reach the model at {server.shown}. {remedy}")
    return unavailable(f"The model at {server.shown} broke off: {server.clean(error) or name}. Try again.")


def _status(error: Exception) -> int | None:
    """The HTTP status, also where a server puts it as a code into an error event of the stream."""
    for value in (getattr(error, "status_code", None), getattr(error, "code", None)):
        if str(value).isdigit():
            return int(str(value))
    return None


def _of_status(status: int, error: Exception, server: Server) -> Fault:
    said = server.clean(getattr(error, "message", error))
    codes = {str(getattr(error, "code", "")), str(getattr(error, "type", ""))}
    if status == 429 and codes.intersection(_NO_CREDIT):
        return refused("The account behind OPENAI_API_KEY has no credit left. Add some with the provider, or use another key.")
    if status in (408, 409, 429) or status >= 500:
        return _of_busy_server(status, error, server, said)
    if status == 401:
        remedy = "Check OPENAI_API_KEY." if server.key else "Set OPENAI_API_KEY."
        return refused(f"The model's server at {server.shown} does not accept the key. {remedy}")
    if status == 403:
        return refused(f"The key may not use the model {server.model!r} at {server.shown}. The server says: {said}")
    return _of_request(status, codes, server, said)


def _of_request(status: int, codes: set[str], server: Server, said: str) -> Fault:
    if "stream_options" in said or "include_usage" in said:
        return Fault(error=ModelRefused(_of_refusal(status, server, said)), retry=True, wait=0.0, usage_refused=True)
    if "context_length_exceeded" in codes or _TOO_LONG.search(said):
        return refused(
            f"The conversation is too long for the model {server.model!r}. Start a new one, lower CODEACT_CONTEXT_TOKENS, "
            f"or choose a model with a larger context. The server says: {said}"
        )
    if "model_not_found" in codes or _UNKNOWN_MODEL.search(said):
        return Fault(error=ModelRefused(f"{server.shown} has no model {server.model!r}."), retry=False, unknown_model=True)
    if status == 404:
        return refused(f"{server.shown} does not know chat completions (404). Is OPENAI_BASE_URL right? It usually ends in /v1.")
    return refused(_of_refusal(status, server, said))


def _of_refusal(status: int, server: Server, said: str) -> str:
    return f"The model's server at {server.shown} refused the request ({status}). It says: {said}"


def _of_busy_server(status: int, error: Exception, server: Server, said: str) -> Fault:
    wait = retry_after(error)
    if wait is not None and wait > PATIENCE:
        return Fault(error=ModelUnavailable(f"The model's server asks to wait {wait:.0f} seconds. Try again then."), retry=False)
    what = "limits the rate of requests" if status == 429 else "is in trouble"
    return unavailable(f"The model's server at {server.shown} {what} ({status}). Try again in a minute. It says: {said}", wait)


def retry_after(error: Exception) -> float | None:
    """Return the seconds of a `Retry-After-Ms` or `Retry-After` header (RFC 9110, 10.2.3), None where there is no usable one."""
    headers: Any = getattr(getattr(error, "response", None), "headers", {})
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        after = headers.get("retry-after") or ""
        return max(0.0, float(after)) if after.replace(".", "").isdigit() else max(0.0, _seconds_until(after))
    except (TypeError, ValueError):
        return None


def _seconds_until(date: str) -> float:
    parsed = email.utils.parsedate_tz(date)
    if parsed is None:
        raise ValueError(date)
    return email.utils.mktime_tz(parsed) - time.time()
