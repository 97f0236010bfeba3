"""The demo model: no AI at all, a script that reacts to what really happens in the sandbox, for a first look without a key."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from codeact_bot.model import plays
from codeact_bot.model.scene import Scene
from codeact_bot.model.scripted import stream, tokens_of
from codeact_bot.ports import Hear
from codeact_bot.types import Completion, File, Message, Usage

NAME = "demo (scripted, no AI)"
PACE = 0.02
"""Seconds between two pieces of five characters: some sixty tokens a second, as fast as a quick model."""
_ALIKE = 0.85
"""Similarity from which a typed question is taken for one of the tour's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TourStop:
    """One message of the tour."""

    question: str
    files: tuple[File, ...] = ()


_PLAYS: Mapping[str, Callable[[Scene], str]] = {
    "What is the monthly payment for a loan of 250,000 at 3.9 % over 25 years?": plays.loan,
    "And if I pay 200 more each month?": plays.more,
    "Here are our support tickets. Which product area gets the most, and where do people wait longest?": plays.areas,
    "Draw how they develop, week by week.": plays.plot,
    "Thanks. Give me the summary as a file that I can pass on.": plays.save,
}


def _files_of(play: Callable[[Scene], str]) -> tuple[File, ...]:
    if play is not plays.areas:
        return ()
    return (File.of(plays.CSV, files("codeact_bot.model").joinpath("data", plays.CSV).read_bytes()),)


TOUR: tuple[TourStop, ...] = tuple(TourStop(question=question, files=_files_of(play)) for question, play in _PLAYS.items())
"""Computes, uses a variable again, meets a real error and mends it, reads an attached table, draws, makes a file."""


class DemoModel:
    """Plays the tour, runs typed Python, and says plainly that it can do no more; decides from the messages alone."""

    def __init__(self, delay: float = PACE) -> None:
        self._delay = delay

    @property
    def name(self) -> str:
        """Says that this is no AI."""
        return NAME

    async def complete(self, messages: Sequence[Message], hear: Hear) -> Completion:
        """Stream the next reply at a readable pace; costs nothing."""
        began = time.monotonic()
        text, _ = await stream(reply(Scene.of(messages)), hear, self._delay)
        usage = Usage(input_tokens=sum(tokens_of(message.content) for message in messages), output_tokens=tokens_of(text))
        return Completion(text=text, usage=usage, model=NAME, seconds=time.monotonic() - began)

    async def aclose(self) -> None:
        """Nothing is held."""


def reply(scene: Scene) -> str:
    """Return what the demo model says now."""
    if play := _play_for(scene.question):
        return play(scene)
    return plays.typed(scene) if scene.typed_code else introduction()


def introduction() -> str:
    """Say what this is, what it can do, and how to get the real thing."""
    questions = "\n".join(f"{number}. {question}" for number, question in enumerate(_PLAYS, 1))
    return (
        "I am a scripted demo, not an AI: no model is configured, so I cannot answer that. The sandbox behind me is real, though. I can\n\n"
        "- run Python that you type, such as `sum(range(101))`;\n"
        "- answer these questions with it (type one, or its number; the third needs the file that `codeact-bot demo` attaches):\n\n"
        f"{questions}\n\n"
        "For the real thing, set `OPENAI_API_KEY`, or `OPENAI_BASE_URL` to the address of any OpenAI-compatible server "
        "(vLLM, llama.cpp, Ollama, …), and start again."
    )


def _play_for(question: str) -> Callable[[Scene], str] | None:
    if question.rstrip(".").isdigit() and 0 < int(question.rstrip(".")) <= len(_PLAYS):
        return list(_PLAYS.values())[int(question.rstrip(".")) - 1]
    known = difflib.get_close_matches(_plain(question), [_plain(text) for text in _PLAYS], n=1, cutoff=_ALIKE)
    return next((play for text, play in _PLAYS.items() if known and _plain(text) == known[0]), None)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .?!")
