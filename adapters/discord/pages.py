"""A turn as Discord messages: the one that builds up, and those that stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.common.approvals import HOW, code_file, note, proposal
from adapters.common.files import LINES, attachments, long_outputs
from adapters.common.neutral import discord_code, discord_markdown
from adapters.common.rebuilds import LABEL, notes, shown_steps
from adapters.common.split import head_tail, split
from adapters.common.story import Story
from adapters.common.summary import folded, late
from adapters.common.tables import aligned, csv_file
from adapters.discord.markdown import with_code_tables
from adapters.render import count, one_line, size_text, step_summary, trouble, turn_summary
from codeact_bot.types import Answer, Execution, File, Step, Table, Turn

LIMIT = 2000
"""Characters of a message."""
FILES = 10
"""Files of a message."""
TABLES = 5
"""Tables that are shown; the notebook has all."""
WIDTH = 76
"""Cells of a table's line that a desktop window shows unwrapped."""
TABLE_ROOM = 1800
PROPOSED = 1_000
"""Characters of code that waits for a yes that the post shows; a file has all of it."""
PASSAGE = 500
"""Characters of the thought, the code and the output that the growing post shows of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message."""

    content: str
    files: tuple[File, ...] = ()


def units(text: str) -> int:
    """Return the length as Discord's strictest counter has it: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def small(text: str) -> str:
    """Write a line in small grey letters."""
    return f"-# {discord_markdown(one_line(text, 200))}"


def prose(text: str) -> str:
    """Write what the model said."""
    return discord_markdown(with_code_tables(text, WIDTH))


def working(story: Story) -> str:
    """Write the post of a running turn: finished steps folded, then what goes on."""
    parts = lines_of(story.steps)
    parts += [small(notice) for notice in story.notices[-2:]]
    if story.preparing is not None:
        share = story.preparing.fraction
        parts.append(small(f"{story.preparing.label} … {'' if share is None else f'{share:.0%}'}"))
    thought = story.thought.strip()
    if thought:
        parts.append(ending(prose(thought), PASSAGE))
    if story.code:
        parts.append(discord_code(head_tail(story.code, PASSAGE, LINES)[0], "py"))
    if story.output.strip():
        parts.append(discord_code(head_tail(story.output, PASSAGE, LINES)[0]))
    if not thought and not story.code:
        parts.append("Working…")
    return split("\n".join(parts), LIMIT, units)[0]


def ending(text: str, limit: int) -> str:
    """Return the last paragraphs of a text that fit."""
    return text if units(text) <= limit else "…\n" + split(text, limit, units)[-1]


def lines_of(steps: Sequence[Step]) -> list[str]:
    """Write one small line per finished step."""
    return [small(line) for line in folded(steps)]


def final(turn: Turn, upload_limit: int) -> list[Post]:
    """Write the messages of an ended turn; the first replaces the post that built up."""
    assert turn.outcome is not None
    text = prose(turn.outcome.text.strip()) or "(no text)"
    head = [*map(small, filter(None, [late(turn), note(turn)])), *lines_of(turn.steps)]
    whole = "\n".join([*head, *proposed(turn), text, *map(small, notes(turn, LABEL)), small(turn_summary(turn))])
    posts = [Post(content=piece) for piece in split(whole, LIMIT, units)]
    tables = [table for step in shown_steps(turn) if step.execution for table in step.execution.tables]
    for number, table in enumerate(tables[-TABLES:], len(tables) - min(len(tables), TABLES) + 1):
        posts.append(table_post(table, number))
    long = long_outputs(turn)
    posts += [Post(content=printed(file)) for file in long]
    files = [*code_file(turn, PROPOSED), *attachments(turn), *long]
    fitting = [file for file in files if file.size <= upload_limit]
    posts += [Post(content="", files=batch) for batch in batches(fitting, upload_limit)]
    refused = [f"{file.name} ({size_text(file.size)})" for file in files if file.size > upload_limit]
    if refused:
        posts.append(
            Post(content=small(f"Larger than the {size_text(upload_limit)} that Discord takes here: {', '.join(refused)}. Ask me to split it."))
        )
    return posts


def proposed(turn: Turn) -> list[str]:
    """Write the code that a turn asks to run, and how to answer."""
    asked = proposal(turn)
    if asked is None:
        return []
    return [*map(prose, split(asked.thought, PASSAGE)[:1]), discord_code(head_tail(asked.code, PROPOSED)[0], "py"), small(HOW)]


def table_post(table: Table, number: int) -> Post:
    """Write a table as aligned text, as many rows as fit, with its cells as CSV."""
    shown = len(table.rows)
    while shown > 1 and units(code_of(table, shown)) > TABLE_ROOM:
        shown = shown * 3 // 4
    rest = f" The file has {count(len(table.rows), 'row')}." if shown < len(table.rows) else ""
    caption = small(f"{count(shown, 'row')} of {table.total_rows:,}.{rest}") if shown < table.total_rows else ""
    text = code_of(table, shown)
    if units(text) > TABLE_ROOM:
        text = discord_code(head_tail(aligned(replace(table, rows=table.rows[:shown]), WIDTH), TABLE_ROOM // 2)[0])
    return Post(content=f"{text}\n{caption}".strip(), files=(csv_file(table, f"table-{number}.csv"),))


def printed(file: File) -> str:
    """Write the head and tail of an output that is a file."""
    assert file.data is not None
    return f"{small(f'{file.name} has all of it:')}\n{discord_code(head_tail(file.data.decode(), 1_200, LINES)[0])}"


def code_of(table: Table, rows: int) -> str:
    """Write the first rows of a table as a code block."""
    return discord_code(aligned(replace(table, rows=table.rows[:rows]), WIDTH))


def batches(files: Sequence[File], limit: int) -> list[tuple[File, ...]]:
    """Group files into messages, by number and by size together."""
    groups: list[list[File]] = []
    for file in files:
        if not groups or len(groups[-1]) == FILES or sum(each.size for each in groups[-1]) + file.size > limit:
            groups.append([])
        groups[-1].append(file)
    return [tuple(group) for group in groups]


def code_pages(turn: Turn) -> list[str]:
    """Write what ran in a turn and what came of it, in messages."""
    parts = []
    for step in turn.steps:
        if not isinstance(step.action, Answer):
            parts.append(f"**Step {step.index + 1}** {small(step_summary(step)).removeprefix('-# ')}")
            parts.append(discord_code(step.action.code, "py"))
            parts += outcome_of(step.execution) if step.execution else []
    return split("\n".join(parts), LIMIT, units) if parts else []


def outcome_of(execution: Execution) -> list[str]:
    """Write what an execution printed, returned and raised."""
    error = execution.error
    raised = (error.traceback or f"{error.type}: {error.message}") if error else ""
    texts = [execution.output, execution.value or "", raised, trouble(execution)]
    return [discord_code(head_tail(text, 1500)[0]) for text in texts if text.strip()]


def title(text: str) -> str:
    """Return a thread's name for a question."""
    return one_line(text, 90).replace("`", "").strip("* _~#>") or "Question"
