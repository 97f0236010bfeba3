"""What the terminal chat prints, as rich renderables; text from sandbox and model is plain `Text`, never markup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Markdown
from rich.panel import Panel
from rich.rule import Rule
from rich.segment import Segment
from rich.syntax import Syntax
from rich.table import Table as RichTable
from rich.text import Text

from adapters.render import clean, columns_that_fit, count, one_line, seconds_text, step_mark, step_summary, turn_summary
from codeact_bot.types import CodeError, Ending, Execution, Step, Table, ThreadId, Turn

GUTTER = "│ "
ROWS_SHOWN = 20
"""Rows of a table that fit on a screen with its code."""
CONTEXT = 2
"""Lines of code around the one that raised."""
TRACEBACK_LINES = 16
DEMO = "No model is configured: a scripted one plays a tour. Set OPENAI_API_KEY or OPENAI_BASE_URL for a real one."
THEME = "ansi_dark"
"""The terminal's own sixteen colours, so that the person's colour scheme holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the opening panel says."""

    model: str
    sandbox: str
    """`docker (runc)`."""
    warning: str = ""
    """In plain words, where the sandbox does not isolate."""
    demo: bool = False
    """True for the scripted model, which costs nothing."""
    notes: tuple[str, ...] = ()
    """More lines: the database, a log file."""


class Tame:
    """Renders another renderable and cleans what comes out, so that nothing decoded on the way (entities) slips through."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)


class Trimmed:
    """Renders another renderable without blank lines at its ends and without blanks at the ends of its lines."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [_stripped(line) for line in console.render_lines(self._inner, options, pad=False)]
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            del lines[-1]
        for line in lines:
            yield from line
            yield Segment.line()


def _stripped(line: list[Segment]) -> list[Segment]:
    while line and not line[-1].text.strip():
        line = line[:-1]
    return [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)] if line else line


def markdown(text: str) -> RenderableType:
    """Render the model's prose; addresses of links are spelled out, since a label may lie."""
    return Trimmed(Tame(Markdown(clean(text), code_theme=THEME, hyperlinks=False)))


def code(text: str, index: int, console: Console) -> RenderableType:
    """Show a step's code between two rules, so that copying it takes no borders along; on paper its lines are not wrapped."""
    title = Text(f"step {index + 1}", style="dim")
    body: RenderableType = _syntax(text) if console.is_terminal else _numbered(text)
    return Group(Rule(title, align="left", style="dim"), body, Rule(style="dim"))


def _numbered(text: str) -> Text:
    lines = clean(text).strip("\n").split("\n")
    width = len(str(len(lines)))
    return Text("\n".join(f"  {n:>{width}} {line}".rstrip() for n, line in enumerate(lines, 1)), no_wrap=True, overflow="ignore")


def _syntax(text: str) -> Syntax:
    return Syntax(clean(text).strip("\n"), "python", theme=THEME, background_color="default", line_numbers=True, word_wrap=True)


def gutter(lines: Iterable[str], console: Console, style: str = "dim") -> RenderableType:
    """Put a dim bar left of text, wrapped to the width of the screen; on paper nothing is wrapped."""
    out = Text(no_wrap=True, end="", overflow="ignore")
    for line in lines:
        text = Text(line.expandtabs(8))
        folded = text.wrap(console, max(10, console.width - len(GUTTER)), overflow="fold") if console.is_terminal else [text]
        for row in folded or [Text()]:
            out.append(GUTTER, style="bright_black").append(row.plain.rstrip() + "\n", style=style)
    return out


def error(problem: CodeError, source: str, console: Console) -> RenderableType:
    """Point at the line that raised, name the error, and list the frames where there is more than one."""
    parts: list[RenderableType] = []
    lines = clean(source).strip("\n").split("\n")
    if problem.line is not None and 1 <= problem.line <= len(lines):
        parts.append(_excerpt(lines, problem.line))
    message = clean(problem.message).strip()
    parts.append(Text.assemble((clean(problem.type), "bold red"), (f": {message}" if message else "", "red")))
    frames = clean(problem.traceback).strip("\n").split("\n")
    if sum(line.lstrip().startswith("File ") for line in frames) > 1:
        parts.append(gutter(_last(frames, TRACEBACK_LINES), console))
    return Group(*parts)


def _excerpt(lines: list[str], at: int) -> Text:
    first, last = max(1, at - CONTEXT), min(len(lines), at + CONTEXT)
    out = Text()
    for number in range(first, last + 1):
        here = number == at
        out.append("❱ " if here else "  ", style="bold red")
        out.append(f"{number:>{len(str(last))}} ", style="bold red" if here else "bright_black")
        out.append(lines[number - 1] + ("\n" if number < last else ""), style="bold" if here else "dim")
    return out


def _last(lines: list[str], most: int) -> list[str]:
    return lines if len(lines) <= most else [f"… {count(len(lines) - most, 'line')} above", *lines[-most:]]


def table(data: Table, width: int) -> RenderableType:
    """Lay out a table with as many columns as fit; say how many rows and columns are left out."""
    shown = columns_that_fit(data, width - 1)
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, border_style="bright_black", header_style="bold")
    rows = data.rows[:ROWS_SHOWN]
    for index, name in enumerate(data.columns[:shown]):
        numeric = bool(rows) and all(_number(row[index]) for row in rows)
        grid.add_column(Text(one_line(name)), justify="right" if numeric else "left", no_wrap=True, overflow="ellipsis", max_width=32)
    for row in rows:
        grid.add_row(*(Text(one_line(cell)) for cell in row[:shown]))
    left = [(data.total_rows - len(rows), "row"), (data.total_columns - shown, "column")]
    more = ", ".join(count(number, f"more {noun}") for number, noun in left if number > 0)
    return Group(grid, Text(f"… {more}", style="dim")) if more else grid


def _number(cell: str) -> bool:
    try:
        float(cell.replace(",", "").rstrip("%") or "0")
    except ValueError:
        return False
    return True


def repeats(value: str, tables: Iterable[Table]) -> bool:
    """Whether the value's text only says again what a table shows."""
    return "\n" in value and any(t.columns and t.columns[0] in value and t.columns[-1] in value for t in tables)


def step_line(step: Step) -> Text:
    """Sum a step up: a mark and its figures."""
    mark = step_mark(step)
    return Text.assemble((f"{mark} ", {"✓": "green", "?": "cyan"}.get(mark, "red")), (step_summary(step), "dim"))


def turn_line(turn: Turn, *, free: bool) -> Text:
    """Sum a turn up."""
    summary = turn_summary(turn, free=free)
    answered = turn.outcome is not None and turn.outcome.ending is Ending.ANSWERED
    return Text.assemble((summary[0], "green" if answered else "yellow"), (summary[1:], "dim"))


def question(text: str, names: Iterable[str] = ()) -> Text:
    """Show a message as if it had been typed."""
    first, *rest = clean(text).split("\n")
    out = Text.assemble(("› ", "bold cyan"), (first, "bold"))
    for line in rest:
        out.append(f"\n  {line}", style="bold")
    for name in names:
        out.append(f"\n  + {one_line(name)}", style="cyan")
    return out


def recap(turn: Turn) -> Text:
    """Show an earlier turn in two lines."""
    out = Text.assemble(("› ", "bright_black"), (one_line(turn.incoming.text, 68), "dim bold"), no_wrap=True, overflow="ellipsis")
    if turn.outcome is not None:
        out.append(f"\n  {one_line(turn.outcome.text.replace('**', '').replace('`', ''), 200)}", style="dim")
    return out


def note(text: str, style: str = "yellow") -> Text:
    """Show a sentence of our own or of the core."""
    return Text(clean(text), style=style)


def intro(about: About, thread: ThreadId, *, resumed: bool) -> RenderableType:
    """Say who answers, where code runs, how to come back and where help is."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("model", Text(clean(about.model), style="bold yellow" if about.demo else "bold"))
    grid.add_row("sandbox", Text(clean(about.sandbox)))
    grid.add_row("thread", Text(thread, style="dim") if not resumed else Text.assemble(thread, ("  resumed", "green")))
    parts: list[RenderableType] = [grid]
    if about.demo:
        parts.append(Text(DEMO, style="yellow"))
    if about.warning:
        parts.append(Text(f"⚠ {clean(about.warning)}", style="yellow"))
    parts.extend(Text(clean(line), style="dim") for line in about.notes)
    parts.append(Text.assemble(("come back with ", "dim"), f"codeact-bot chat --thread {thread}", ("  ·  ", "dim"), ("/help", "cyan")))
    title = Text("codeact-bot", style="bold")
    return Panel(Group(*parts), title=title, title_align="left", border_style="bright_black", box=box.ROUNDED, padding=(0, 1))


def value(text: str, console: Console) -> RenderableType:
    """Show the last expression's value."""
    lines = clean(text).rstrip("\n").split("\n")
    return gutter(lines, console, style="none")


def remarks(execution: Execution) -> list[str]:
    """List what was left out of an execution's result."""
    cut = [f"{execution.cut:,} bytes of output were cut."] if execution.cut else []
    return cut + [clean(text) for text in execution.notes]


def ran_for(seconds: float) -> str:
    """Elapsed whole seconds, for a line that is redrawn."""
    return f"{seconds:.0f} s" if seconds < 60 else seconds_text(seconds)
