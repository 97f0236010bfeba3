"""Models behind the chat completions protocol: OpenAI, vLLM, llama.cpp, Ollama and their like."""

from __future__ import annotations

import asyncio
import difflib
import itertools
import math
import random
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from codeact_bot.errors import ModelRefused
from codeact_bot.model.faults import Fault, Server, fault_of, refused, unavailable
from codeact_bot.model.prices import PRICES, cost_of, price_of
from codeact_bot.ports import Hear
from codeact_bot.types import Completion, Message, Price, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

OPENAI = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4.1"
LONGEST_WAIT = 20.0
"""Seconds between two attempts at most, where the server asks for nothing else."""
LINGER = 0.3
"""Seconds that we wait for the model's own usage figures after we have enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a model, in seconds."""

    connect: float = 10.0
    silence: float = 180.0
    """Without a byte; reasoning models are silent while they think."""
    whole: float = 600.0
    """One attempt, from the request to the last byte."""


TIMEOUTS = Timeouts()
T = TypeVar("T")


@dataclass(slots=True)
class _Heard:
    """What one attempt brought."""

    text: str = ""
    hidden: int = 0
    """Characters of reasoning, which is paid for and not part of the text."""
    finish: str = ""
    usage: Any = None


class OpenAIModel:
    """Streams chat completions; retries what can be retried and says in plain words what cannot."""

    def __init__(
        self,
        *,
        name: str = "",
        api_key: str | None = None,
        base_url: str | None = None,
        prices: Mapping[str, Price] = PRICES,
        timeouts: Timeouts = TIMEOUTS,
        attempts: int = 5,
        backoff: float = 0.5,
        temperature: float | None = None,
        reasoning_effort: str | None = None,
        max_completion_tokens: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Take an empty `name` for the first model that `base_url` offers; `prices` add to PRICES, `extra` goes into the request's body."""
        self._name = name or ("" if base_url else DEFAULT_MODEL)
        self._url = base_url or OPENAI
        self._official = not base_url
        self._key = api_key
        self._prices = {**PRICES, **prices}
        self._timeouts = timeouts
        self._attempts = attempts
        self._backoff = backoff
        options = {"temperature": temperature, "reasoning_effort": reasoning_effort, "max_completion_tokens": max_completion_tokens}
        self._options: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        self._options["extra_body"] = dict(extra or {})
        self._reports_usage = True
        self._characters_per_token = 4.0
        self._client: AsyncOpenAI | None = None
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """The model's name; before the first request, where none was given, words for the first that the server offers."""
        return self._name or f"the first of {self._server.shown}"

    @property
    def price(self) -> Price | None:
        """What the model costs, None where that is not known: then every cost is 0."""
        return price_of(self._name, self._prices)

    async def resolve(self) -> str:
        """Return the model's name, asking the server for it where none was given. Raises ModelRefused, ModelUnavailable."""
        for attempt in itertools.count(1):
            if self._name:
                break
            offered = await self._guarded(self._offered(), self._deadline())
            if isinstance(offered, Fault):
                await self._pause(offered, attempt)
            elif offered:
                self._name = offered[0]
            else:
                raise ModelRefused(f"The server at {self._server.shown} offers no model. Load one there, or name one in CODEACT_MODEL.")
        return self._name

    async def check(self) -> str:
        """Ask the server once for its models and return the name in use. Raises ModelRefused, ModelUnavailable."""
        offered = await self._guarded(self._offered(), self._deadline())
        if isinstance(offered, Fault):
            raise offered.error
        if self._name and offered and self._name not in offered:
            some = ", ".join(offered[:5])
            raise ModelRefused(f"The server at {self._server.shown} does not offer {self._name}, but {some}. Name one of those in CODEACT_MODEL.")
        return await self.resolve()

    async def complete(self, messages: Sequence[Message], hear: Hear) -> Completion:
        """Stream one completion into `hear`. Raises ModelUnavailable, ModelRefused."""
        began = time.monotonic()
        await self.resolve()
        lost, attempt = Usage(), 1
        while fault := await self._try(messages, hear, heard := _Heard()):
            if heard.text:
                lost += self._usage(messages, heard)
                await hear(None)
            await self._pause(await self._explained(fault), attempt)
            attempt += 1
        usage = lost + self._usage(messages, heard)
        return Completion(text=heard.text, usage=usage, model=self._name, seconds=time.monotonic() - began, attempts=attempt)

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _try(self, messages: Sequence[Message], hear: Hear, heard: _Heard) -> Fault | None:
        """Make one attempt; what `hear` raises goes through, all else that goes wrong is returned."""
        until = self._deadline()
        stream = await self._guarded(self._request(messages), until)
        if isinstance(stream, Fault):
            return stream
        async with stream:
            while (chunk := await self._guarded(anext(stream, None), until)) is not None:
                if isinstance(chunk, Fault):
                    return chunk
                piece = _take(chunk, heard)
                heard.text += piece
                if piece and await hear(piece):
                    await self._linger(stream, heard)
                    return None
        return self._judge(heard)

    async def _linger(self, stream: AsyncStream[ChatCompletionChunk], heard: _Heard) -> None:
        """Wait a moment for the usage figures of a model that stops by itself; one that goes on is cut off."""
        until = asyncio.get_running_loop().time() + LINGER
        while self._reports_usage and heard.usage is None:
            chunk = await self._guarded(anext(stream, None), until)
            if chunk is None or isinstance(chunk, Fault) or _take(chunk, heard).strip():
                return

    def _judge(self, heard: _Heard) -> Fault | None:
        """Tell whether a stream that ended by itself brought a usable completion."""
        if not heard.finish and heard.usage is None:
            return unavailable(f"The stream from the model at {self._server.shown} ended early. Try again.")
        if heard.text.strip():
            return None
        if heard.finish == "length":
            return refused("The model spent its whole output budget before it answered. Raise that budget, or lower its reasoning effort.")
        if heard.finish == "content_filter":
            return refused("The provider's content filter withheld the answer. Put the question differently.")
        return unavailable(f"The model {self._name!r} gave an empty reply. Try again, or choose another model.")

    async def _guarded(self, work: Awaitable[T], until: float) -> T | Fault:
        """Await `work`, and return whatever goes wrong in it as a fault."""
        try:
            async with asyncio.timeout_at(until):
                return await work
        except TimeoutError:
            return unavailable(f"The model at {self._server.shown} took longer than {self._timeouts.whole:.0f} seconds. Try again.")
        except Exception as error:
            return fault_of(error, self._server)

    async def _explained(self, fault: Fault) -> Fault:
        """Act on what a fault tells about the server: leave out what it does not know, name the models that it has."""
        if fault.usage_refused:
            self._reports_usage = False
        if not fault.unknown_model:
            return fault
        offered = await self._guarded(self._offered(), self._deadline())
        if isinstance(offered, Fault) or not offered:
            return fault
        alike = sorted(offered, key=lambda name: -difflib.SequenceMatcher(None, name, self._name).ratio())
        more = f" and {len(alike) - 5} more" if len(alike) > 5 else ""
        return refused(f"{fault.error} It offers {', '.join(alike[:5])}{more}. Name one in CODEACT_MODEL.")

    async def _pause(self, fault: Fault, attempt: int) -> None:
        """Wait before the next attempt. Raises the fault's error where there is to be none."""
        if not fault.retry or attempt >= self._attempts:
            raise fault.error
        wait = min(LONGEST_WAIT, self._backoff * 2.0 ** (attempt - 1)) if fault.wait is None else fault.wait
        await asyncio.sleep(wait + self._backoff * random.random())  # noqa: S311

    async def _request(self, messages: Sequence[Message]) -> AsyncStream[ChatCompletionChunk]:
        client = await self._open()
        options = dict(self._options)
        if self._reports_usage:
            options["stream_options"] = {"include_usage": True}
        said: Any = [{"role": message.role, "content": message.content} for message in messages]
        stream: AsyncStream[ChatCompletionChunk] = await client.chat.completions.create(
            model=self._name, messages=said, stream=True, **options
        )
        return stream

    async def _offered(self) -> list[str]:
        page = await (await self._open()).models.list()
        return [model.id for model in page.data or ()]

    async def _open(self) -> AsyncOpenAI:
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
            return self._client

    def _connect(self) -> AsyncOpenAI:
        """Make the client; importing its package takes about a second, so this belongs off the event loop."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        timeout = Timeout(self._timeouts.silence, connect=self._timeouts.connect)
        # A proxy named in the environment cannot reach a server on this machine.
        http = DefaultAsyncHttpxClient(timeout=timeout, trust_env=not _is_loopback(self._url))
        key = self._key or "none"
        return AsyncOpenAI(api_key=key, base_url=self._url, timeout=timeout, max_retries=0, http_client=http)

    def _usage(self, messages: Sequence[Message], heard: _Heard) -> Usage:
        """The server's figures, or an estimate from the last characters per token that it reported."""
        characters = sum(len(message.content) for message in messages)
        if heard.usage is None:
            cached, estimated = 0, True
            tokens_in = math.ceil(characters / self._characters_per_token)
            tokens_out = math.ceil((len(heard.text) + heard.hidden) / self._characters_per_token)
        else:
            cached, estimated = getattr(heard.usage.prompt_tokens_details, "cached_tokens", None) or 0, False
            tokens_in, tokens_out = heard.usage.prompt_tokens or 0, heard.usage.completion_tokens or 0
            self._characters_per_token = characters / tokens_in if characters and tokens_in else self._characters_per_token
        cost = cost_of(self.price, input_tokens=tokens_in, cached_tokens=cached, output_tokens=tokens_out)
        return Usage(input_tokens=tokens_in, cached_tokens=cached, output_tokens=tokens_out, cost=cost, estimated=estimated)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeouts.whole

    @property
    def _server(self) -> Server:
        return Server(url=self._url, model=self._name or "default", key=self._key, official=self._official)


def _take(chunk: ChatCompletionChunk, heard: _Heard) -> str:
    """Note what a chunk reports and return its visible text; servers leave out every part of it at times."""
    heard.usage = chunk.usage or heard.usage
    if not chunk.choices:
        return ""
    choice = chunk.choices[0]
    heard.finish = choice.finish_reason or heard.finish
    delta: Any = choice.delta
    hidden = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or ""
    heard.hidden += len(str(hidden))
    return str(getattr(delta, "content", None) or getattr(delta, "refusal", None) or "")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
