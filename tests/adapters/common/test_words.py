"""Access, commands, tables, files, the story of a turn."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from adapters.common import commands
from adapters.common.access import Visitor, may_ask, may_steer
from adapters.common.commands import NAMES, Command, help_text, history_text, is_stop, parse, went_back
from adapters.common.files import LONG, attachments, free_name, over_long
from adapters.common.story import TAIL, Story
from adapters.common.summary import folded
from adapters.common.tables import aligned, csv_file
from codeact_bot.types import (
    Access,
    Author,
    CodeStarted,
    File,
    Fork,
    Incoming,
    Notice,
    Output,
    Preparing,
    StepDone,
    Table,
    Thought,
    ThoughtDropped,
    ThreadId,
)
from tests.adapters import stage

ANN = Visitor(platform="slack", user="U1", workspace="T1", channel="C1")
ROLE = Visitor(platform="discord", user="5", workspace="8", channel="9", roles=("7",))
INCOMING = Incoming(id="1", thread=ThreadId("slack:T1:C1:1"), author=Author(id="U1", name="Ann"), text="What is <!here> it?")


@pytest.mark.parametrize(
    ("access", "visitor", "may"),
    [
        (Access(), ANN, True),
        (Access(allow=("slack:channel:C1",)), ANN, True),
        (Access(allow=("slack:workspace:T1",)), ANN, True),
        (Access(allow=("slack:user:U2",)), ANN, False),
        (Access(allow=("discord:user:U1",)), ANN, False),
        (Access(deny=("slack:user:U1",)), ANN, False),
        (Access(allow=("slack:user:U1",), deny=("slack:channel:C1",)), ANN, False),
        (Access(deny=("slack:workspace:T1",), admins=("slack:user:U1",)), ANN, True),
        (Access(allow=("discord:role:7",)), ROLE, True),
        (Access(allow=("discord:guild:8",)), ROLE, True),
        (Access(deny=("discord:role:7",)), ROLE, False),
        (Access(allow=("discord:workspace:8",)), ROLE, False),
    ],
)
def test_who_may_ask(access, visitor, may):
    assert may_ask(access, visitor) is may


def test_who_may_steer():
    asker, other = Author(id="U1", name="Ann"), Author(id="U2", name="Bob")
    assert may_steer(Access(), ANN, asker, ())
    assert not may_steer(Access(), ANN, other, ())
    assert may_steer(Access(), ANN, other, ("U1",))
    assert may_steer(Access(admins=("slack:user:U1",)), ANN, other, ())
    assert not may_steer(Access(deny=("slack:user:U1",)), ANN, asker, ())


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", Command(name="help")),
        ("stop", Command(name="stop")),
        ("HISTORY revenue  2025", Command(name="history", argument="revenue  2025")),
        ("ask stop", Command(name="ask", argument="stop")),
        ("What is 2 + 2?", Command(name="ask", argument="What is 2 + 2?")),
        ("histroy", Command(name="", argument="history")),
        ("newton's laws", Command(name="ask", argument="newton's laws")),
    ],
)
def test_commands_are_read(text, command):
    assert parse(text) == command


def test_a_typing_error_is_explained():
    assert "`/codeact history`" in commands.did_you_mean(parse("histroy"))


@pytest.mark.parametrize(("text", "stops"), [("stop", True), (" Stop! ", True), ("STOP.", True), ("please stop", True), ("stop the press", False), ("", False)])
def test_the_word_stop(text, stops):
    assert is_stop(text) is stops


def test_history_and_help_are_tamed_and_complete():
    turn = stage.ended(stage.turn_of(INCOMING), [], "It is\n4.").turn
    assert "Nothing was found." in history_text([], str)
    line = history_text([turn], lambda text: text.replace("<", "&lt;"))
    assert "✓" in line
    assert "Ann: What is &lt;!here> it? → It is 4." in line
    assert [name for name in NAMES if f"`/codeact {name}" not in help_text("@codeact") and name != "help"] == []


@given(
    st.lists(st.text(max_size=40), min_size=1, max_size=5).flatmap(
        lambda names: st.lists(st.tuples(*[st.text(max_size=60)] * len(names)), max_size=6).map(lambda rows: (tuple(names), tuple(rows)))
    )
)
def test_tables_fit_their_width_and_csv_keeps_every_cell(cells):
    columns, rows = cells
    table = Table(columns=columns, rows=rows, total_rows=len(rows), total_columns=len(columns))
    lines = aligned(table, 40).split("\n")
    assert all(cell_len(line) <= 40 for line in lines)
    clean = [[cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row] for row in (columns, *rows)]
    if all(cell.isprintable() for row in clean for cell in row) and any(any(row) for row in clean):
        text = csv_file(table, "t.csv").data.decode("utf-8-sig")
        assert list(csv.reader(io.StringIO(text)))[: len(clean)] == clean


def test_numbers_stand_to_the_right():
    text = aligned(stage.TABLE, 76)
    assert text.split("\n")[2:4] == ["north    1,204   88,310.50        73.35", "south      980   61,002.00        62.25"]


def test_columns_that_do_not_fit_are_counted():
    wide = Table(columns=tuple("abcdefgh"), rows=(("x" * 20,) * 8,), total_rows=1, total_columns=12)
    assert aligned(wide, 50).endswith("… and 10 more columns")


def test_what_is_uploaded():
    chart, data, newer = File.of("figure-1.png", b"1"), File.of("out.csv", b"2"), File.of("out.csv", b"3")
    steps = [stage.ran(0, "x", images=(chart,), files=(data,)), stage.ran(1, "y", files=(newer, File.of("copy.csv", b"3")))]
    turn = stage.ended(stage.turn_of(INCOMING), steps, "Done.").turn
    assert [file.data for file in attachments(turn)] == [b"1", b"3"]
    assert over_long(steps[0]) is None
    assert over_long(stage.ran(2, "z", output="y" * (LONG + 1))).name == "output-step-3.txt"


@pytest.mark.parametrize(
    ("wanted", "taken", "name"),
    [("a.csv", [], "a.csv"), ("a.csv", ["a.csv", "a-2.csv"], "a-3.csv"), ("../../etc/passwd", [], "passwd"), ("..", [], "file"), ("x\\y\u202e`.py", [], "y'.py")],
)
def test_names_of_uploads(wanted, taken, name):
    assert free_name(wanted, taken) == name


def test_a_story_folds_events():
    story = Story(stage.turn_of(INCOMING))
    for event in [Preparing(label="Building", fraction=0.5), Thought(text="wrong"), ThoughtDropped(), Thought(text="Let me see.")]:
        story.hear(event)
    assert (story.thought, story.preparing) == ("Let me see.", None)
    story.hear(CodeStarted(index=0, code="print(1)"))
    story.hear(Output(text="1\n" * TAIL))
    assert (story.code, len(story.output), story.cut) == ("print(1)", TAIL, TAIL)
    story.hear(Notice(text="Note."))
    story.hear(StepDone(step=stage.ran(0, "print(1)")))
    assert (story.code, story.output, story.thought, [step.index for step in story.steps]) == ("", "", "", [0])
    story.hear(stage.ended(story.turn, story.steps, "Done."))
    assert story.done


def test_a_story_goes_on_after_a_crash():
    from dataclasses import replace

    story = Story(replace(stage.turn_of(INCOMING), steps=(stage.ran(0, "x"),)))
    story.hear(StepDone(step=stage.ran(1, "y")))
    assert [step.index for step in story.steps] == [0, 1]


def test_a_finished_step_folds_to_a_line_without_markdown():
    assert folded([stage.ran(0, "x = 1", "## First, **the** `data`\n\nMore.")]) == ["✓ step 1 · 0.4 s · $0.0012 · First, the data"]


def test_a_rewind_to_the_beginning_says_so():
    assert "begins anew" in went_back(Fork(thread=INCOMING.thread, turns=0))
    assert "after question 2" in went_back(Fork(thread=INCOMING.thread, turns=2))
