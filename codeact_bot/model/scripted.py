"""A model that says what it was told to say: for tests, demonstrations and offline work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from codeact_bot.errors import ModelRefused
from codeact_bot.ports import Hear
from codeact_bot.types import Completion, Message, Usage

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text, from OpenAI's help page "What are tokens and how to count them?"."""

PIECE = 5
"""Characters per streamed piece: few enough that fences arrive in parts, as they do from real models."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A stream that breaks after `text`; the next reply of the script is what the retry brings."""

    text: str


Reply = str | Exception | Broken | Callable[[Sequence[Message]], str]
"""The text to say, an error to raise, a stream that breaks, or a function from the messages to the text."""


def tokens_of(text: str) -> int:
    """Estimate the tokens of a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


async def pieces_of(text: str, delay: float) -> AsyncIterator[str]:
    """Yield the text in small pieces, `delay` seconds apart."""
    for start in range(0, len(text), PIECE):
        await asyncio.sleep(delay)
        yield text[start : start + PIECE]


async def stream(text: str, hear: Hear, delay: float) -> tuple[str, bool]:
    """Stream a text into `hear`; returns what was heard and whether that was enough."""
    heard = ""
    async for piece in pieces_of(text, delay):
        heard += piece
        if await hear(piece):
            return heard, True
    return heard, False


class ScriptedModel:
    """Gives the replies in order, one per completion, streamed in small pieces; costs nothing."""

    def __init__(self, replies: Sequence[Reply], *, name: str = "scripted", delay: float = 0.0) -> None:
        self._replies = tuple(replies)
        self._name = name
        self._delay = delay
        self._next = 0
        self.asked: list[tuple[Message, ...]] = []
        """The messages of each completion so far, for tests to look at."""

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._name

    async def complete(self, messages: Sequence[Message], hear: Hear) -> Completion:
        """Stream the next reply. Raises the reply where it is an error, ModelRefused when the script is over."""
        began = time.monotonic()
        self.asked.append(tuple(messages))
        attempts = 0
        while True:
            attempts += 1
            reply = self._take()
            heard, enough = await stream(self._say(reply, messages), hear, self._delay)
            if enough or not isinstance(reply, Broken):
                break
            await hear(None)
        usage = Usage(input_tokens=sum(tokens_of(message.content) for message in messages), output_tokens=tokens_of(heard))
        return Completion(text=heard, usage=usage, model=self._name, seconds=time.monotonic() - began, attempts=attempts)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _take(self) -> Reply:
        if self._next >= len(self._replies):
            raise ModelRefused(f"The scripted model has no reply left: it was given {len(self._replies)}. Add one to its list.")
        self._next += 1
        return self._replies[self._next - 1]

    @staticmethod
    def _say(reply: Reply, messages: Sequence[Message]) -> str:
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Broken):
            return reply.text
        return reply if isinstance(reply, str) else reply(messages)
