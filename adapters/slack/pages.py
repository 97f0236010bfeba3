"""A turn as Slack messages: the one that builds up, and those that stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.common.approvals import APPROVE, DECLINE, HOW, code_file, proposal
from adapters.common.approvals import note as approved_by
from adapters.common.files import LINES, attachments, long_outputs
from adapters.common.neutral import slack_text
from adapters.common.rebuilds import LABEL, notes, shown_steps, warning
from adapters.common.split import head_tail, split
from adapters.common.story import Story
from adapters.common.summary import folded, late
from adapters.common.tables import csv_file
from adapters.render import clean, count, one_line, step_summary, trouble, turn_summary
from adapters.slack.markdown import COLUMNS, Block, blocks, preformatted, table
from codeact_bot.types import Answer, Execution, File, Kind, Malformed, Proposal, RunCode, Table, Turn

BLOCKS = 50
"""Blocks of a message."""
TEXT = 9_000
"""Characters in the blocks of a message; Slack refuses messages of about 13,200, and 12,000 of Markdown."""
NOTE = 2_900
"""Characters of a text object; Slack takes 3,000."""
FALLBACK = 300
"""Characters of the text for notifications; Slack takes 4,000 in an update."""
TABLES = 3
"""Tables that are shown; the notebook has all."""
PASSAGE = 1_500
"""Characters of the thought, the code and the output that the growing post shows of each."""
PROPOSED = 6_000
"""Characters of code that waits for a yes that the post shows; a file has all of it."""
MODAL = 95
"""Blocks of a modal, of the 100 that Slack takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message: blocks and the text for notifications; or files with a comment."""

    blocks: tuple[Block, ...] = ()
    text: str = ""
    files: tuple[File, ...] = ()


def note(text: str) -> Block:
    """Return small grey text, literally."""
    return {"type": "context", "elements": [{"type": "plain_text", "text": clean(text)[:NOTE] or " ", "emoji": False}]}


def button(label: str, deed: str, value: str, style: str = "", confirm: str = "") -> Block:
    """Return a button that says what it is for even after a restart; with `confirm`, Slack asks that first."""
    asks = {"confirm": {"title": _plain(label), "text": _plain(confirm), "confirm": _plain(label), "deny": _plain("Cancel")}} if confirm else {}
    look = {"style": style} if style else {}
    return {"type": "button", "text": _plain(label), "action_id": f"codeact_{deed}", "value": value, **look, **asks}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def actions(*buttons: Block) -> Block:
    """Return a row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def working(story: Story) -> Post:
    """Write the post of a running turn: finished steps folded, then what goes on."""
    parts = [note("\n".join(lines))] if (lines := folded(story.steps)) else []
    parts += [note(notice) for notice in story.notices[-2:]]
    if story.preparing is not None:
        share = story.preparing.fraction
        parts.append(note(f"{story.preparing.label} … {'' if share is None else f'{share:.0%}'}"))
    thought = story.thought.strip()
    if thought:
        parts += packed(blocks(split(thought, PASSAGE)[-1]))[-1]
    if story.code:
        parts.append(preformatted(head_tail(story.code, PASSAGE, LINES)[0], "python"))
    if story.output.strip():
        parts.append(preformatted(head_tail(story.output, PASSAGE, LINES)[0]))
    if not thought and not story.code:
        parts.append(note("Working…"))
    return Post(blocks=(*parts, actions(button("Stop", "stop", story.turn.id, "danger"))), text="Working…")


def final(turn: Turn) -> list[Post]:
    """Write the messages of an ended turn; the first replaces the post that built up."""
    assert turn.outcome is not None
    text = turn.outcome.text.strip() or "(no text)"
    parts = [note("\n".join(lines))] if (lines := [*filter(None, [late(turn), approved_by(turn)]), *folded(turn.steps)]) else []
    asked = proposal(turn)
    if asked is not None:
        parts += [block for piece in split(asked.thought, PASSAGE)[:1] for block in blocks(piece)]
        parts.append(preformatted(head_tail(asked.code, PROPOSED)[0], "python"))
    for piece in split(text, TEXT):
        parts += blocks(piece)
    parts += [note(HOW)] if asked is not None else []
    parts += [note(each) for each in notes(turn, LABEL)]
    parts += [note(turn_summary(turn)), actions(*_after(turn))]
    alert = slack_text(one_line(text, FALLBACK))
    posts = [Post(blocks=tuple(group), text=alert) for group in packed(parts)]
    tables = [each for step in shown_steps(turn) if step.execution for each in step.execution.tables]
    shown = list(enumerate(tables, start=1))[-TABLES:]
    posts += [Post(blocks=table_blocks(each), text="A table") for _, each in shown]
    long = long_outputs(turn)
    posts += [Post(blocks=printed(file), text="Output") for file in long]
    files = [*code_file(turn, PROPOSED), *attachments(turn), *(csv_file(each, f"table-{number}.csv") for number, each in shown), *long]
    return [*posts, Post(files=tuple(files))] if files else posts


def settled(turn: Turn, said: str) -> tuple[int, Post]:
    """Return the post with Approve and Decline as it is once they have been answered, and its number; `said` says what came of them."""
    posts = final(turn)
    index = next(number for number, post in enumerate(posts) if post.blocks and post.blocks[-1]["type"] == "actions")
    kept = [note(said) if block == note(HOW) else block for block in posts[index].blocks[:-1]]
    return index, replace(posts[index], blocks=(*kept, actions(*_after(turn, asks=False))))


def _after(turn: Turn, *, asks: bool = True) -> list[Block]:
    buttons = []
    if asks and turn.outcome is not None and turn.outcome.proposal:
        named = f"{turn.id}/{turn.outcome.proposal}"
        buttons += [button(APPROVE, "approve", named, "primary"), button(DECLINE, "decline", named, "danger")]
    buttons += [button("Retry", "retry", turn.id)] if turn.incoming.kind is Kind.QUESTION else []
    if turn.outcome is not None and turn.outcome.rebuild:
        buttons.append(button(LABEL, "rebuild", turn.id, confirm=warning(turn)))
    if any(not isinstance(step.action, Answer) for step in turn.steps):
        buttons.append(button("Show code", "code", turn.id))
    return [*buttons, button("Download notebook", "notebook", turn.id), button("Fork from here", "fork", turn.id)]


def packed(parts: Iterable[Block]) -> list[list[Block]]:
    """Group blocks into messages: by number, by text, and one table each, as Slack demands."""
    groups: list[list[Block]] = [[]]
    used = 0
    for part in parts:
        size = text_size(part)
        second_table = part["type"] == "table" and any(each["type"] == "table" for each in groups[-1])
        if groups[-1] and (len(groups[-1]) == BLOCKS or used + size > TEXT + 2_000 or second_table):
            groups.append([])
            used = 0
        groups[-1].append(part)
        used += size
    return groups


def text_size(part: Any) -> int:
    """Count the characters of all texts in a block."""
    if isinstance(part, dict):
        return sum(len(value) if name in ("text", "url") and isinstance(value, str) else text_size(value) for name, value in part.items())
    return sum(map(text_size, part)) if isinstance(part, list | tuple) else 0


def table_blocks(shown: Table) -> tuple[Block, ...]:
    """Write a table, and what of it is not shown."""
    block = table([shown.columns, *shown.rows])
    rows = len(block["rows"]) - 1
    missing = []
    if rows < shown.total_rows:
        missing.append(f"{count(rows, 'row')} of {shown.total_rows:,}")
    if min(COLUMNS, len(shown.columns)) < shown.total_columns:
        missing.append(f"{min(COLUMNS, len(shown.columns))} of {count(shown.total_columns, 'column')}")
    return (block, note(f"{', '.join(missing)} shown.")) if missing else (block,)


def printed(file: File) -> tuple[Block, ...]:
    """Write the head and tail of an output that is a file."""
    assert file.data is not None
    return note(f"{file.name} has all of it:"), preformatted(head_tail(file.data.decode(), PASSAGE, LINES)[0])


def code_view(turn: Turn) -> Block:
    """Write what ran in a turn and what came of it, as a modal."""
    parts: list[Block] = []
    for step in turn.steps:
        if isinstance(step.action, RunCode | Proposal | Malformed):
            parts += [note(step_summary(step)), preformatted(head_tail(step.action.code, 6_000)[0], "python")]
            parts += _outcome(step.execution) if step.execution else []
    if len(parts) > MODAL:
        parts = [note("Only the last steps are shown here; the notebook has all of them."), *parts[-MODAL:]]
    title = {"type": "plain_text", "text": "Code of this answer", "emoji": False}
    return {"type": "modal", "title": title, "blocks": parts or [note("No code ran for this answer.")]}


def _outcome(execution: Execution) -> list[Block]:
    error = execution.error
    raised = (error.traceback or f"{error.type}: {error.message}") if error else ""
    texts: Sequence[str] = (execution.output, execution.value or "", raised)
    said = trouble(execution)
    return [*(preformatted(head_tail(text, 3_000)[0]) for text in texts if text.strip()), *([note(said)] if said else [])]


def mark_of(turn: str, index: int) -> str:
    """Return the name of a turn's post."""
    return f"codeact:{turn}:{index}"


def marked(post: Post, turn: str, index: int) -> Post:
    """Name the post in its first block, so that it is found again when nobody knows whether it arrived."""
    if not post.blocks:
        return post
    first, *rest = post.blocks
    return replace(post, blocks=({**first, "block_id": mark_of(turn, index)}, *rest))
