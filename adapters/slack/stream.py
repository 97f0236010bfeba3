"""A message that Slack types out natively: thought, code and output are appended, and steps are task cards."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from adapters.common.neutral import slack_markdown
from adapters.common.story import Story
from adapters.common.summary import purpose
from adapters.render import clean, one_line, step_ok, step_summary
from adapters.slack.markdown import Block
from adapters.slack.wire import Wire

SECONDS = 240.0
"""After this a new message takes over: Slack ends a stream after about 300 (slackapi/node-slack-sdk#2702)."""
TITLE = 150
PIECE = 6_000
"""Characters that are appended at once; Slack takes 12,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of a turn a message shows."""

    finished: frozenset[int] = frozenset()
    """Indexes of the steps that are over."""
    thought: str = ""
    code: str = ""
    output: str = ""
    fenced: bool = False
    """Whether the output's fence is open."""


class Stream:
    """What one turn has streamed. Raises TryLater, PlatformDown and, where Slack has ended the stream, Refused."""

    def __init__(self, wire: Wire, channel: str, thread: str, team: str, user: str) -> None:
        """Stream into a thread, for the person who asked."""
        self._wire = wire
        self._where = {"channel": channel, "thread_ts": thread, "recipient_team_id": team, "recipient_user_id": user}
        self.message = ""
        """Time stamp of the message; empty before the first `show`."""
        self._forget()

    def _forget(self) -> None:
        self._began = time.monotonic()
        self._shown = Shown()

    async def show(self, story: Story) -> None:
        """Append what is new; a message that has become old is replaced by a new one with everything."""
        before = self.message
        if before and time.monotonic() - self._began > SECONDS:
            self.message = ""
            self._forget()
        chunks, shown = news(story, self._shown)
        if not self.message:
            opening = [] if chunks else _texts("Working…\n")
            self.message = await self._wire.start_stream([*opening, *chunks], self._where)
        elif chunks:
            await self._wire.append_stream(self._where["channel"], self.message, chunks)
        self._shown = shown
        if before and before != self.message:
            await self._wire.delete(self._where["channel"], before)

    async def stop(self) -> None:
        """End the stream, so that the message can be edited."""
        if self.message:
            await self._wire.stop_stream(self._where["channel"], self.message)


def news(story: Story, shown: Shown) -> tuple[list[Block], Shown]:
    """Return what is to be appended to a message, and what it shows then."""
    chunks: list[Block] = []
    for step in story.steps:
        if step.index not in shown.finished:
            chunks += _texts("```\n") if shown.fenced else []
            chunks.append(_task(step.index, step_summary(step) + purpose(step), "complete" if step_ok(step) else "error"))
            shown = Shown(finished=shown.finished | {step.index})
    code = story.code or shown.code
    thought = story.thought if story.code else story.thought[: story.thought.rfind("\n") + 1]
    printed = story.output[: story.output.rfind("\n") + 1]
    if said := _after(shown.thought, thought):
        chunks += _texts(slack_markdown(said) + ("\n" if story.code else ""))
    if code != shown.code:
        chunks += [_task(len(shown.finished), "Running", "in_progress"), *_texts(f"\n```python\n{_literal(code)}\n```\n")]
    if fresh := _after(shown.output, printed):
        chunks += _texts(("" if shown.fenced else "\n```\n") + _literal(fresh))
    return chunks, Shown(finished=shown.finished, thought=thought, code=code, output=printed, fenced=shown.fenced or bool(fresh))


def _after(before: str, text: str) -> str:
    """Return what a text has more than before; all of it where it is another one, nothing where that is blank."""
    fresh = text[len(before) :] if text.startswith(before) else text
    return fresh if fresh.strip() else ""


def _texts(text: str) -> list[Block]:
    """Put text into chunks; of one that is too long for a progress report, the end."""
    cut = len(text) - PIECE
    parts = [f"… {cut:,} characters, shown at the end …\n", text[cut:]] if cut > 0 else [text]
    return [{"type": "markdown_text", "text": part} for part in parts]


def _task(index: int, title: str, status: str) -> Block:
    return {"type": "task_update", "id": f"step-{index}", "title": one_line(title, TITLE), "status": status}


def _literal(text: str) -> str:
    """Return code or output for a fence: it cannot be left, and what Slack might read as a mention or link there is escaped."""
    return re.sub(r"<(?=[!@#]|https?:|mailto:)", "&lt;", clean(text).replace("```", "\u02cb" * 3))
