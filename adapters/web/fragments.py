"""Turns as pieces of a page, each with an id, so that what changed can be sent by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.common.rebuilds import notes, warning
from adapters.common.story import Story
from adapters.common.tables import is_numeric
from adapters.render import clean, one_line, step_mark, step_ok, step_summary, trouble, turn_summary
from adapters.web.markup import code_lines, ends, printed, prose
from adapters.web.rooms import Room
from adapters.web.state import templates
from codeact_bot.types import Answer, Execution, Incoming, Malformed, Proposal, RunCode, Step, Table, Turn

TURNS = "turns"
"""Id of the element that holds the turns."""
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
TEXTS = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".py", ".html", ".htm", ".svg", ".xml", ".log", ".yaml", ".yml", ".toml", ".sql", ".ini")
"""Files that can be read as text; a page of HTML or an SVG picture is never shown as what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A piece of the page."""

    id: str
    inside: str
    """Id of the element that it is put into where it is not there yet."""
    html: str


def whole(room: Room, turn: Turn) -> Fragment:
    """A turn that has ended."""
    return Fragment(id=f"turn-{turn.id}", inside=TURNS, html=_render("turn", room, turn=turn, live=False))


def nothing(name: str) -> Fragment:
    """What is left of a piece that is to go."""
    return Fragment(id=name, inside=TURNS, html="")


def running(room: Room, story: Story, there: Collection[str] = ()) -> Iterator[Fragment]:
    """A turn that goes on: a frame, and in it one piece for each step that is not `there` already, and for what happens now."""
    turn = story.turn
    yield Fragment(id=f"turn-{turn.id}", inside=TURNS, html=_render("turn", room, turn=turn, live=True))
    for step in story.steps:
        name = f"step-{turn.id}-{step.index}"
        if name not in there and not _is_open(step) and not isinstance(step.action, Answer):
            yield Fragment(id=name, inside=f"steps-{turn.id}", html=_render("step", room, turn=turn, step=step, live=True))
    for name, html in _now(room, story):
        yield Fragment(id=f"{name}-{turn.id}", inside=f"now-{turn.id}", html=html)


def _now(room: Room, story: Story) -> Iterator[tuple[str, str]]:
    turn = story.turn
    opened = next((step for step in story.steps if _is_open(step)), None)
    code, thought = story.code, story.thought
    if opened is not None and not code and isinstance(opened.action, RunCode):
        code, thought = opened.action.code, opened.action.thought
    answer = next((step.action.text for step in story.steps if isinstance(step.action, Answer)), "")
    yield "thought", _render("thought", room, turn=turn, text=answer or (_before_fence(thought) if code else thought))
    yield "code", _render("code_now", room, turn=turn, code=code, number=len([step for step in story.steps if not _is_open(step)]) + 1)
    yield "output", _render("output_now", room, turn=turn, text=printed(story.output), cut=story.cut)
    yield "notices", _render("notices", room, turn=turn, notices=story.notices, preparing=story.preparing)
    yield "state", _render("state_now", room, turn=turn, busy="Running the code" if code else "Thinking")


def waiting(room: Room, queue: Sequence[Incoming]) -> Fragment:
    """The questions that wait for those before them."""
    return Fragment(id="waiting", inside="after", html=_render("waiting", room, queue=queue))


def _is_open(step: Step) -> bool:
    return isinstance(step.action, RunCode) and step.execution is None


def _before_fence(text: str) -> str:
    """Return what a model wrote before its code, which has a place of its own."""
    return text.partition("\n```")[0] if "\n```" in text else "" if text.startswith("```") else text


def _render(macro: str, room: Room, **values: Any) -> str:
    return str(getattr(templates().get_template("turn.html").module, macro)(room=room, **values)).strip()


def steps_of(turn: Turn) -> list[Step]:
    """The steps of a turn that a page shows apart from its answer."""
    return [step for step in turn.steps if not isinstance(step.action, Answer)]


def is_bad(step: Step) -> bool:
    """Whether a step's code is shown unfolded because something is wrong with it."""
    return not step_ok(step)


def thought_of(step: Step) -> str:
    """What the model said before it acted."""
    return step.action.thought if isinstance(step.action, RunCode | Proposal | Malformed) else ""


def purpose_of(step: Step) -> str:
    """The beginning of the code, for the line that a folded step is."""
    code = step.action.code if isinstance(step.action, RunCode | Proposal | Malformed) else ""
    first = next((line for line in code.split("\n") if line.strip() and not line.strip().startswith(("#", "import ", "from "))), "")
    return one_line(first, 70)


def file_kind(name: str) -> str:
    """`picture`, `text` or empty, by the end of a file's name."""
    lower = name.lower()
    return "picture" if lower.endswith(PICTURES) else "text" if lower.endswith(TEXTS) else ""


def columns_of(table: Table) -> list[bool]:
    """For each column of a table, whether it holds numbers."""
    return [is_numeric([row[index] for row in table.rows]) for index in range(len(table.columns))]


def remarks_of(run: Execution) -> list[str]:
    """What was left out of an execution's result."""
    return ([f"{run.cut:,} bytes of output were cut."] if run.cut else []) + [clean(note) for note in run.notes]


def _install() -> None:
    """Give the templates what they need of this."""
    made = templates()
    made.filters |= {"prose": prose, "code_lines": code_lines, "printed": printed, "ends": ends, "clean": clean}
    made.globals |= {
        "steps_of": steps_of,
        "is_bad": is_bad,
        "thought_of": thought_of,
        "purpose_of": purpose_of,
        "file_kind": file_kind,
        "columns_of": columns_of,
        "remarks_of": remarks_of,
        "trouble": trouble,
        "step_mark": step_mark,
        "step_summary": step_summary,
        "turn_summary": turn_summary,
        "lost_notes": notes,
        "rebuild_warning": warning,
        "is_proposal": lambda step: isinstance(step.action, Proposal),
        "is_malformed": lambda step: isinstance(step.action, Malformed),
    }


_install()
