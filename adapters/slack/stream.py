"""A message that Slack types out natively: thought, code and output are appended, and steps are task cards."""

from __future__ import annotations

import re
import time

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
        self._finished: set[int] = set()
        self._thought = self._code = self._output = ""
        self._fenced = False

    async def show(self, story: Story) -> None:
        """Append what is new; a message that has become old is replaced by a new one with everything."""
        before = self.message
        if before and time.monotonic() - self._began > SECONDS:
            self.message = ""
            self._forget()
        chunks = self._news(story)
        if not self.message:
            opening = [] if chunks else [_text("Working…\n")]
            self.message = await self._wire.start_stream([*opening, *chunks], self._where)
        elif chunks:
            await self._wire.append_stream(self._where["channel"], self.message, chunks)
        if before and before != self.message:
            await self._wire.delete(self._where["channel"], before)

    async def stop(self) -> None:
        """End the stream, so that the message can be edited."""
        if self.message:
            await self._wire.stop_stream(self._where["channel"], self.message)

    def _news(self, story: Story) -> list[Block]:
        chunks: list[Block] = []
        for step in story.steps:
            if step.index not in self._finished:
                self._finished.add(step.index)
                chunks += self._closing()
                chunks.append(_task(step.index, step_summary(step) + purpose(step), "complete" if step_ok(step) else "error"))
                self._thought = self._code = self._output = ""
        chunks += self._appended(story)
        return chunks

    def _appended(self, story: Story) -> list[Block]:
        chunks = []
        lines = story.thought if story.code else story.thought[: story.thought.rfind("\n") + 1]
        if lines and not lines.startswith(self._thought):
            self._thought = ""
        fresh, self._thought = lines[len(self._thought) :], lines
        if fresh.strip():
            chunks.append(_text(slack_markdown(fresh) + ("\n" if story.code else "")))
        if story.code and story.code != self._code:
            self._code = story.code
            chunks.append(_task(len(self._finished), "Running", "in_progress"))
            chunks.append(_text(f"\n```python\n{_literal(story.code)}\n```\n"))
        printed = story.output[: story.output.rfind("\n") + 1]
        if printed and not printed.startswith(self._output):
            self._output = ""
        fresh, self._output = printed[len(self._output) :], printed
        if fresh:
            chunks.append(_text(("" if self._fenced else "\n```\n") + _literal(fresh)))
            self._fenced = True
        return chunks

    def _closing(self) -> list[Block]:
        fenced, self._fenced = self._fenced, False
        return [_text("```\n")] if fenced else []


def _text(text: str) -> Block:
    return {"type": "markdown_text", "text": text[-PIECE:]}


def _task(index: int, title: str, status: str) -> Block:
    return {"type": "task_update", "id": f"step-{index}", "title": one_line(title, TITLE), "status": status}


def _literal(text: str) -> str:
    """Return code or output for a fence: it cannot be left, and what Slack might read as a mention or link there is escaped."""
    return re.sub(r"<(?=[!@#]|https?:|mailto:)", "&lt;", clean(text).replace("```", "\u02cb" * 3))
