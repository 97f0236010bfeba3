"""One turn on the screen: events become thought, code, output, results and a summary, in the order they happen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from prompt_toolkit.application import get_app_or_none, run_in_terminal
from rich.console import Console, RenderableType
from rich.text import Text

from adapters.common.rebuilds import notes
from adapters.console import blocks, images
from adapters.console.foot import Foot
from adapters.console.saving import Folder, link
from adapters.console.stream import Printed, Prose
from adapters.render import clean, cost_text, one_line, trouble
from codeact_bot.types import (
    Answer,
    CodeStarted,
    Ending,
    Event,
    Execution,
    File,
    Malformed,
    Notice,
    Output,
    Preparing,
    Proposal,
    RunCode,
    Status,
    Step,
    StepDone,
    Thought,
    ThoughtDropped,
    Turn,
    TurnDone,
)

Load = Callable[[File], Awaitable[bytes]]
"""Fetches the bytes of a file that carries none."""


class ConsoleReply:
    """Shows the events of one turn; its reference is the turn's id, since a terminal cannot edit what has scrolled by."""

    def __init__(
        self,
        turn: Turn,
        *,
        console: Console,
        folder: Folder,
        load: Load,
        free: bool,
        pictures: images.Protocol | None,
        ended: Callable[[], None],
    ) -> None:
        self._turn = turn
        self._console = console
        self._folder = folder
        self._load = load
        self._free = free
        self._pictures = pictures
        self._ended = ended
        self._foot = Foot(console)
        self._prose = Prose()
        self._output = Printed()
        self._answer = ""
        self._said = False
        self._step = len(turn.steps)
        self._cost = turn.usage.cost

    @property
    def reference(self) -> str:
        """The turn's id."""
        return self._turn.id

    def begin(self) -> None:
        """Start the status line; a turn taken over after a crash first shows where it stood."""
        if self._turn.reply or self._turn.steps:
            self._console.print(blocks.note("Going on with a message that was not finished:", "yellow"))
            self._console.print(blocks.question(self._turn.incoming.text, (file.name for file in self._turn.incoming.files)))
            for step in self._turn.steps:
                self._console.print(blocks.step_line(step))
        self._thinking()

    def close(self) -> None:
        """Take the live lines off the screen."""
        self._foot.close()

    async def aclose(self) -> None:
        """Take the live lines off the screen."""
        self.close()

    async def show(self, event: Event) -> None:
        """Print an event, above the prompt where one is open; a full disk or a closed terminal is not the turn's fault."""
        if isinstance(event, StepDone) and event.step.execution and not self._output.heard:
            self._printed(event.step.execution.output)
        saved = await self._saved(event.step) if isinstance(event, StepDone) else []
        try:
            app = get_app_or_none()
            if app is not None and app.is_running:
                await run_in_terminal(lambda: self._show(event, saved))
            else:
                self._show(event, saved)
        except OSError:
            self._foot.close()
        if isinstance(event, TurnDone):
            self._ended()

    def _show(self, event: Event, saved: list[RenderableType]) -> None:
        match event:
            case Thought(text=text):
                self._thought(text)
            case ThoughtDropped():
                self._dropped()
            case CodeStarted(index=index, code=code):
                self._code(index, code)
            case Output(text=text):
                self._printed(text)
            case StepDone(step=step):
                self._step_done(step, saved)
            case Preparing():
                self._foot.prepare(event)
            case Notice(text=text):
                self._console.print(blocks.note(f"• {clean(text)}"))
            case TurnDone(turn=turn):
                self._turn_done(turn)

    def _thinking(self) -> None:
        cost = f" · {cost_text(self._cost)}" if self._cost else ""
        self._foot.status(f"step {self._step + 1} · thinking{cost}")

    def _thought(self, text: str) -> None:
        done = self._prose.add(text)
        self._foot.tail(blocks.markdown(self._prose.rest) if self._prose.rest.strip() else None)
        if done:
            self._say(done)

    def _say(self, text: str) -> None:
        if text.strip():
            if self._said:
                self._console.print()
            self._console.print(blocks.markdown(text))
            self._said = True

    def _end_prose(self) -> str:
        told = self._prose.told
        self._foot.tail(None)
        self._say(self._prose.flush())
        self._said = False
        return told

    def _dropped(self) -> None:
        self._foot.tail(None)
        self._prose.flush()
        if self._said:
            self._console.print(blocks.note("The connection to the model broke and what it said is void; it is asked again.", "dim italic"))
        self._said = False

    def _code(self, index: int, code: str) -> None:
        self._end_prose()
        self._console.print(blocks.code(code, index, self._console), crop=False)
        self._step = index
        self._foot.status(f"step {index + 1} · running")

    def _printed(self, text: str) -> None:
        lines = self._output.add(text)
        tail = self._output.tail
        self._foot.tail(blocks.gutter(tail, self._console) if tail else None)
        if lines:
            self._console.print(blocks.gutter(lines, self._console), end="", soft_wrap=True)

    def _step_done(self, step: Step, saved: list[RenderableType]) -> None:
        self._foot.tail(None)
        rest = self._output.flush()
        self._output = Printed()
        if rest:
            self._console.print(blocks.gutter(rest, self._console), end="", soft_wrap=True)
        told = self._end_prose()
        self._cost += step.completion.usage.cost
        self._step = step.index + 1
        if isinstance(step.action, Answer):
            self._answer = told
            return
        if isinstance(step.action, Proposal):
            self._console.print(blocks.code(step.action.code, step.index, self._console), crop=False)
        elif isinstance(step.action, Malformed):
            self._console.print(blocks.note(f"• Not runnable, the model is told: {one_line(step.action.reason, 300)}"))
        elif step.execution is not None:
            self._result(step, step.execution, saved)
        self._console.print(blocks.step_line(step))
        self._console.print()
        self._thinking()

    def _result(self, step: Step, done: Execution, saved: list[RenderableType]) -> None:
        if done.value is not None and not blocks.repeats(done.value, done.tables):
            self._console.print(blocks.value(done.value, self._console), end="", soft_wrap=True)
        for table in done.tables:
            self._console.print(blocks.table(table, self._console.width))
        if done.error is not None and isinstance(step.action, RunCode):
            self._console.print(blocks.error(done.error, step.action.code, self._console), crop=False)
        if step.hint:
            self._console.print(blocks.note(f"→ {one_line(step.hint, 300)}", "dim"))
        sentence = trouble(done)
        if sentence:
            self._console.print(blocks.note(sentence, "red" if done.status is not Status.STOPPED else "yellow"))
        for image in done.images:
            self._draw(image)
        for item in saved:
            self._console.print(item, soft_wrap=True)
        for remark in blocks.remarks(done):
            self._console.print(blocks.note(remark, "dim"))

    def _draw(self, image: File) -> None:
        if self._pictures is None or image.data is None or not self._foot.moving:
            return
        drawing = images.sequence(image.data, self._pictures, self._console.width - 2)
        if drawing is not None:
            self._foot.pause()
            self._console.file.write(drawing + "\n")
            self._console.file.flush()

    async def _saved(self, step: Step) -> list[RenderableType]:
        """Save what a step made, and return a line with a link for each."""
        done = step.execution
        if done is None:
            return []
        out = [await self._save(file, self._folder.keep_new, "plot") for file in done.images]
        drawn = {file.digest for file in done.images}
        out += [await self._save(file, self._folder.keep, "file") for file in done.files if file.digest not in drawn]
        if done.cut or self._output.hidden:
            text = clean(done.output).encode()
            out.append(await self._save(File.of(f"output-{step.index + 1}.txt", text), self._folder.keep_new, "output"))
        return out

    async def _save(self, file: File, keep: Callable[[str, bytes], Path], kind: str) -> RenderableType:
        try:
            data = file.data if file.data is not None else await self._load(file)
            path = await asyncio.to_thread(keep, file.name, data)
        except Exception as problem:
            return blocks.note(f"{kind} {one_line(file.name)} could not be saved: {one_line(str(problem), 200)}", "red")
        return Text.assemble((f"{kind}  ", "dim"), link(path, file.size))

    def _turn_done(self, turn: Turn) -> None:
        told = self._end_prose() or self._answer
        self._foot.close()
        outcome = turn.outcome
        if outcome is not None and outcome.text.strip() and outcome.text.strip() != told.strip():
            if outcome.ending is Ending.ANSWERED:
                self._console.print(blocks.markdown(outcome.text))
            else:
                self._console.print(blocks.note(outcome.text, "red" if outcome.ending is Ending.FAILED else "yellow"))
        for each in notes(turn, "/rebuild"):
            self._console.print(blocks.note(each, "yellow"))
        self._console.print(blocks.turn_line(turn, free=self._free))
        self._console.print()
