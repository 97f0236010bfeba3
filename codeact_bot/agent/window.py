"""What of a conversation the model is shown, so that it fits its context."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codeact_bot.agent.execution import INTERRUPTED
from codeact_bot.agent.observations import clip, observe, quoted
from codeact_bot.agent.prompt import question
from codeact_bot.agent.reasoning import without_reasoning
from codeact_bot.types import Ending, Kind, Malformed, Message, Proposal, RunCode, Status, Step, Turn, Usage

CHARACTERS_PER_TOKEN = 4.0
"""Until the model reported its own figures: OpenAI's help page, "What are tokens and how to count them?"."""
REBUILT = "(Variables and files of this conversation were lost. {} had the recorded code of the earlier steps run again in a new sandbox.)"
"""What the model is told of a rebuild, which it had no part in."""
_PER_MESSAGE = 4
_COMPACT = 400
_QUESTION, _ANSWER, _LINE = 500, 1_000, 120


class Window:
    """Chooses the messages; learns from the model's usage figures how many characters make a token."""

    def __init__(self, context_tokens: int = 128_000, *, reply_tokens: int = 8_000, observation: int = 16_000) -> None:
        self.context_tokens = context_tokens
        """Input and output tokens that the model takes at once."""
        self.reply_tokens = reply_tokens
        """Tokens of the context that are kept free for the reply."""
        self.observation = observation
        """Characters that one observation has at most."""
        self.characters_per_token = CHARACTERS_PER_TOKEN

    def learn(self, messages: Sequence[Message], usage: Usage) -> None:
        """Take the figures of a completion that answered `messages`; estimates teach nothing."""
        if usage.input_tokens > 0 and not usage.estimated:
            self.characters_per_token = min(max(_characters(messages) / usage.input_tokens, 0.5), 8.0)

    def tokens(self, messages: Sequence[Message]) -> int:
        """Estimate the tokens of messages by what was learned."""
        return math.ceil(_characters(messages) / self.characters_per_token) + _PER_MESSAGE * len(messages)

    def fit(self, system: str, past: Sequence[Turn], current: Turn) -> list[Message]:
        """Return the messages to send.

        Where they do not fit, the observations of past turns are shortened first, oldest turn first, then past turns are summarised, then
        left out. The system prompt and the current turn are never touched.
        """
        fixed = [Message(role="system", content=system), *turn_messages(current)]
        room = self.context_tokens - self.reply_tokens - self.tokens(fixed)
        forms = [[turn_messages(turn), _compacted(turn), _summary(turn), []] for turn in past]
        level = _levels([[self.tokens(form) for form in turn] for turn in forms], room)
        kept = [message for turn, chosen in zip(forms, level, strict=True) for message in turn[chosen]]
        gone = level.count(3)
        left_out = _exchange(f"({gone} earlier exchanges are not shown here.)", "(I see.)") if gone else []
        return [fixed[0], *left_out, *kept, *fixed[1:]]

    def room_for_observation(self, messages: Sequence[Message]) -> int:
        """Return how many characters the next observation may have: less when the context that cannot be shortened is nearly full."""
        free = self.context_tokens - self.reply_tokens - self.tokens(messages)
        return max(1_000, min(self.observation, int(free * self.characters_per_token) // 4))


def turn_messages(turn: Turn, *, limit: int | None = None) -> list[Message]:
    """Return a turn in full, or with each observation cut to about `limit` characters; of a rebuild, only that it was made."""
    if turn.incoming.kind is Kind.REBUILD:
        return _exchange(REBUILT.format(" ".join(turn.incoming.author.name.split())), turn.outcome.text if turn.outcome else "")
    approved = turn.steps[:1] if turn.incoming.kind is Kind.APPROVAL else ()
    opening = [question(turn.incoming), *(_observation(step, limit) for step in approved)]
    messages = [Message(role="user", content="\n\n".join(opening))]
    for step in turn.steps[len(approved) :]:
        messages.append(Message(role="assistant", content=without_reasoning(step.completion.text) or "(empty)"))
        if observation := _observation(step, limit):
            messages.append(Message(role="user", content=observation))
    if turn.outcome is not None and turn.outcome.ending is Ending.APPROVAL:
        messages.append(Message(role="assistant", content=turn.outcome.text))
    elif turn.outcome is not None and turn.outcome.ending is not Ending.ANSWERED:
        messages.append(Message(role="assistant", content=f"(This turn ended without an answer: {turn.outcome.text})"))
    return messages


def _observation(step: Step, limit: int | None) -> str:
    if not isinstance(step.action, RunCode | Proposal | Malformed):
        return ""
    if isinstance(step.action, RunCode) and (limit is not None or not step.observation):
        return observe(step.execution or INTERRUPTED, limit=limit or _COMPACT)
    return step.observation


def _compacted(turn: Turn) -> list[Message]:
    return turn_messages(turn, limit=_COMPACT)


def _summary(turn: Turn) -> list[Message]:
    """Return a turn as its question, one line for each step, the files it made, and its answer."""
    if turn.incoming.kind is Kind.REBUILD:
        return turn_messages(turn)
    done = [_step_line(step) for step in turn.steps if isinstance(step.action, RunCode | Proposal)]
    files = sorted({quoted(file.name) for step in turn.steps if step.execution for file in step.execution.files})
    lines = ["(Summary of an earlier turn.)", *done]
    if files:
        lines.append(f"Files made: {clip(', '.join(files), _ANSWER)}.")
    if turn.outcome is not None:
        lines.append(clip(turn.outcome.text, _ANSWER))
    return _exchange(clip(question(turn.incoming), _QUESTION), "\n".join(lines))


def _step_line(step: Step) -> str:
    action = step.action
    first = (action.thought or action.code) if isinstance(action, RunCode | Proposal) else ""
    status = step.execution.status if step.execution else "not run" if isinstance(action, Proposal) else Status.LOST
    return f"- {' '.join(first.split())[:_LINE]} → {status}"


def _exchange(question_text: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question_text), Message(role="assistant", content=answer)]


def _levels(sizes: Sequence[Sequence[int]], room: int) -> list[int]:
    """Return which form of each turn to use: as few and as old ones as possible in a shorter form."""
    chosen = [0] * len(sizes)
    total = sum(forms[0] for forms in sizes)
    for level in (1, 2, 3):
        for index, forms in enumerate(sizes):
            if total <= room:
                return chosen
            total += forms[level] - forms[chosen[index]]
            chosen[index] = level
    return chosen


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)
