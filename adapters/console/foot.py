"""The live lines at the foot of the screen: the end of what streams, progress bars, the status with its spinner."""

from __future__ import annotations

import time

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from adapters.console.blocks import Tame, note, ran_for
from adapters.render import one_line
from codeact_bot.types import Preparing

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
TAIL_LINES = 8
"""Lines of streaming text that are redrawn; what is older has been printed for good, or is held back until its paragraph ends."""


class Foot:
    """Owns the only part of the screen that is redrawn; on paper it prints nothing but progress labels."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._tail: RenderableType | None = None
        self._status = ""
        self._since = 0.0
        self._preparing: dict[str, float | None] = {}

    @property
    def moving(self) -> bool:
        """Whether the screen can be redrawn at all."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def status(self, text: str) -> None:
        """Say what goes on now, with a spinner and the seconds since this call."""
        self._status, self._since = text, time.monotonic()
        self._start()

    def tail(self, item: RenderableType | None) -> None:
        """Show the end of something that is still growing."""
        self._tail = item

    def prepare(self, event: Preparing) -> None:
        """Show the progress of slow first-time work; one line each on paper."""
        done = event.fraction is not None and event.fraction >= 1
        if not self.moving or (done and event.label in self._preparing):
            self._print_progress(event, done=done)
        if done:
            self._preparing.pop(event.label, None)
        else:
            self._preparing[event.label] = event.fraction
            self._start()
        if not self._preparing and not self._status:
            self.close()

    def _print_progress(self, event: Preparing, *, done: bool) -> None:
        if done and event.label in self._preparing:
            self._console.print(Text.assemble(("✓ ", "green"), (one_line(event.label), "dim")))
        elif not done and event.label not in self._preparing:
            self._console.print(note(f"{one_line(event.label)} …", "dim"))

    def _start(self) -> None:
        if self._live is None and self.moving:
            self._live = Live(self, console=self._console, transient=True, refresh_per_second=10)
            self._live.start()

    def pause(self) -> None:
        """Take the live lines off the screen, so that bytes can be written past rich; `status` brings them back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def close(self) -> None:
        """Take the live lines off the screen for good."""
        self._tail, self._status = None, ""
        self._preparing.clear()
        self.pause()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._tail is not None:
            most = max(1, min(TAIL_LINES, console.height - 4))
            for line in console.render_lines(Tame(self._tail), options, pad=False)[-most:]:
                yield from line
                yield Segment.line()
        for label, fraction in list(self._preparing.items()):
            yield _bar(label, fraction)
        if self._status:
            elapsed = time.monotonic() - self._since
            frame = FRAMES[int(time.monotonic() * 10) % len(FRAMES)]
            status = Text(f"{frame} ", style="cyan", no_wrap=True, overflow="ellipsis")
            status.append(f"{self._status} · {ran_for(elapsed)}", style="dim")
            if options.max_width >= 60:
                status.append("   Ctrl-C stops", style="bright_black")
            yield status


def _bar(label: str, fraction: float | None) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None, width=20, animation_time=time.monotonic())
    grid.add_row(bar, Text("" if fraction is None else f"{fraction:4.0%}"), Text(one_line(label), style="dim"))
    return grid
