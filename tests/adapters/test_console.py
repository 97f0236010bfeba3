"""The terminal chat's parts: plain output, commands, saved files, streams."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from adapters.console import About, ConsoleAdapter, Foot, Line, images
from adapters.console.saving import Folder
from adapters.console.stream import LINES_SHOWN, Printed, Prose
from codeact_bot.types import Author, Deed, File, Kind, Preparing, ThreadId
from tests.adapters import stage

Chat = Callable[..., "Played"]


class Played:
    """A chat of prepared lines on paper."""

    def __init__(self, folder: Path, play: stage.Play = stage.play_every_kind, *, width: int = 100) -> None:
        self.core = stage.Stage(play)
        self.saved = folder / "saved"
        self._paper = io.StringIO()
        self._console = Console(file=self._paper, width=width, highlight=False, _environ={})

    async def lines(self, *lines: Line | str, demo: bool = False) -> str:
        adapter = ConsoleAdapter(
            thread=stage.THREAD,
            author=Author(id="1", name="Ada"),
            desk=self.core,
            about=About(model="gpt-5", sandbox="docker (runc)", demo=demo),
            saved=self.saved,
            console=self._console,
            lines=stage.listed([Line(text=line) if isinstance(line, str) else line for line in lines]),
            keyboard=False,
        )
        self.core.adapter = adapter
        await adapter.listen(self.core)
        return self._paper.getvalue()


@pytest.fixture
def chat(tmp_path: Path) -> Played:
    return Played(tmp_path)


async def test_paper_gets_no_escape_codes(chat: Played) -> None:
    text = await chat.lines("first")
    assert "\x1b" not in text
    assert "thinking" not in text
    assert "Let me look at sales.csv. sales\n\nThen group it.\n" in text
    assert text.count("The west leads. sales") == 1


async def test_paper_does_not_wrap_code_and_paths(tmp_path: Path) -> None:
    code = f"total = {' + '.join('abcdefgh')}  # {'long ' * 30}end"

    async def play(core: stage.Stage, turn: stage.Turn, reply: stage.Reply) -> None:
        await reply.show(stage.CodeStarted(index=0, code=code))
        step = stage.ran(0, code, output="long " * 30 + "end\n", files=(File.of("long-" * 16 + ".csv", b"x"),))
        await reply.show(stage.StepDone(step=step))
        await reply.show(stage.ended(turn, [step], "Done."))

    text = await Played(tmp_path, play, width=40).lines("first")
    assert f"  1 {code}\n" in text
    assert f"│ {'long ' * 30}end\n" in text
    assert f"{'long-' * 16}.csv  1 B\n" in text


async def test_a_tour_shows_its_questions_and_files(chat: Played) -> None:
    text = await chat.lines(Line(text="Look", files=(File.of("sales.csv", b"1234"),)), demo=True)
    assert "› Look\n  + sales.csv 4 B" in text
    assert "No model is configured" in text
    assert [file.name for file in chat.core.accepted[0].files] == ["sales.csv"]


async def test_what_a_step_made_is_saved_inside_the_folder(chat: Played) -> None:
    await chat.lines("first", "second")
    names = stage.saved_files(chat.saved)
    assert names == {f"terminal-4f1c9a/{name}" for name in ("figure-1.png", "sales.csv", "escape.txt", "output-3.txt")}


async def test_resuming_shows_the_last_turns_and_answers_what_waits_first(chat: Played) -> None:
    await chat.lines("first")
    waiting = replace(chat.core.accepted[0], id="2", text="waiting")
    chat.core.backlog.append(waiting)
    chat.core.begin(waiting)

    async def play(core: stage.Stage, turn: stage.Turn, reply: stage.Reply) -> None:
        core.backlog.clear()
        await stage.play_every_kind(core, turn, reply)

    chat.core._play = play
    text = await chat.lines()
    assert "resumed" in text
    assert "› first\n  The west leads. sales" in text
    assert "A message from before is answered first." in text


async def test_files_are_listed_and_saved(chat: Played) -> None:
    text = await chat.lines("/files", "/files plots/a.png", "/files nope")
    assert "sales.csv" in text
    assert (chat.saved / "terminal-4f1c9a/plots/a.png").read_bytes() == stage.PNG
    assert "There is no file nope in the working folder." in text


async def test_attached_files_go_with_the_next_message_alone(chat: Played, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"1,2\n")
    text = await chat.lines(f"/attach {path}", "/attach nowhere.csv", "first", "second")
    assert "There is no file nowhere.csv." in text
    assert [[file.data for file in message.files] for message in chat.core.accepted] == [[b"1,2\n"], []]


async def test_too_large_a_file_is_refused(chat: Played, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        os.ftruncate(file.fileno(), 17 * 1024 * 1024)
    assert "at most 17 MB can be sent" in await chat.lines(f"/attach {path}")


async def test_undo_says_that_variables_stay(chat: Played) -> None:
    text = await chat.lines("first", "/undo", "/undo")
    assert "Taken back: “first”. The model no longer knows of it; variables and files stay as they are." in " ".join(text.split())
    assert "There is nothing to take back." in text


async def test_rewind_and_fork_go_on_elsewhere_and_say_how_to_come_back(chat: Played) -> None:
    text = " ".join((await chat.lines("first", "second", "/rewind 3", "/fork x", "/fork 1", "third", "/rewind")).split())
    assert "This conversation has 2 answered questions" in text
    assert "This conversation has 2: `/fork 2` goes on after the last one." in text
    assert "You go on after question 1, with the variables and files of then." in text
    assert f"The one before is kept: codeact-bot chat --thread {chat.core.accepted[0].thread}" in text
    assert "The next message goes on after question 1" in text
    first, second, third = chat.core.accepted
    assert first.thread == second.thread != third.thread


async def test_rebuild_warns_and_asks_before_it_runs_anything(chat: Played) -> None:
    text = " ".join((await chat.lines("/rebuild", "first", "/rebuild", "n", "/rebuild", "yes")).split())
    assert "No code has run in this conversation yet." in text
    assert "What they sent, wrote or bought elsewhere happens again." in text
    assert "Nothing was run." in text
    assert [each.kind for each in chat.core.accepted] == [Kind.QUESTION, Kind.REBUILD]
    assert [each.text for each in chat.core.accepted][1].startswith("Rebuild the state")


async def test_history_lists_turns_with_their_figures(chat: Played) -> None:
    assert "✓ 5 steps · 4.2 s · 2,400 tokens · $0.0060\n› second" not in await chat.lines("first", "/history")
    assert (await chat.lines("/history")).count("› first") >= 2


async def test_export_writes_where_it_is_told_and_over_nothing(chat: Played, tmp_path: Path) -> None:
    target = tmp_path / "out.md"
    text = await chat.lines("/export json", f"/export md {target}", f"/export {target}", "/export docx")
    assert (chat.saved / "terminal-4f1c9a/conversation.json").exists()
    assert target.read_bytes() == b"# A conversation\n"
    assert "exists already" in text
    assert "FORMAT is one of md, json, ipynb, jsonl" in text
    assert [(each.kind, each.subject, each.thread) for each in chat.core.recorded] == [(Deed.EXPORTED, kind, stage.THREAD) for kind in ("json", "md", "md")]


async def test_what_is_taken_back_and_what_goes_on_elsewhere_is_recorded(chat: Played) -> None:
    await chat.lines("first", "second", "/undo", "/fork 1")
    assert [(each.kind, each.subject, each.thread) for each in chat.core.recorded] == [
        (Deed.FORKED, "/undo", stage.THREAD),
        (Deed.FORKED, "terminal:b00b1e", stage.THREAD),
    ]


async def test_new_begins_another_conversation(chat: Played) -> None:
    await chat.lines("first", "/new", "second")
    assert [message.thread for message in chat.core.accepted] == [stage.THREAD, ThreadId("terminal:b00b1e")]


@pytest.mark.parametrize(("line", "answer"), [("/hlep", "Did you mean /help?"), ("/zzzzzz", "/help lists the commands."), ("/help", "/attach PATH")])
async def test_commands_help_themselves(chat: Played, line: str, answer: str) -> None:
    text = await chat.lines(line)
    assert answer in text
    assert not chat.core.accepted


async def test_quit_leaves_what_follows_unasked(chat: Played) -> None:
    await chat.lines("/quit", "first")
    assert not chat.core.accepted


async def test_long_output_is_counted_and_saved_in_full(tmp_path: Path) -> None:
    output = "".join(f"line {number}\n" for number in range(1000))

    async def play(core: stage.Stage, turn: stage.Turn, reply: stage.Reply) -> None:
        await reply.show(stage.CodeStarted(index=0, code="spam"))
        for at in range(0, len(output), 333):
            await reply.show(stage.Output(text=output[at : at + 333]))
        step = stage.ran(0, "spam", output=output)
        await reply.show(stage.StepDone(step=step))
        await reply.show(stage.ended(turn, [step], "Done."))

    chat = Played(tmp_path, play)
    text = await chat.lines("first")
    assert f"line {LINES_SHOWN - 1}\n│ … 957 more lines\n│ line 997\n│ line 998\n│ line 999\n" in text
    assert (chat.saved / "terminal-4f1c9a/output-1.txt").read_text() == output


async def test_output_that_was_not_streamed_is_shown(tmp_path: Path) -> None:
    async def play(core: stage.Stage, turn: stage.Turn, reply: stage.Reply) -> None:
        step = stage.ran(0, "print(1)", output="late\n")
        await reply.show(stage.StepDone(step=step))
        await reply.show(stage.ended(turn, [step], "Done."))

    assert "│ late" in await Played(tmp_path, play).lines("first")


async def test_a_notice_after_the_turn_is_shown(tmp_path: Path) -> None:
    async def play(core: stage.Stage, turn: stage.Turn, reply: stage.Reply) -> None:
        await reply.show(stage.ended(turn, [], "Done."))
        await reply.show(stage.Notice(text="The state was not kept."))

    assert "• The state was not kept." in await Played(tmp_path, play).lines("first", "/help")


async def test_a_folder_that_cannot_be_written_is_said(chat: Played) -> None:
    chat.saved.write_text("in the way")
    assert "could not be saved" in await chat.lines("first")


def test_progress_on_paper_is_a_line_at_its_begin_and_end() -> None:
    paper = io.StringIO()
    foot = Foot(Console(file=paper, width=60))
    for fraction in (None, 0.2, 0.7, 1.0):
        foot.prepare(Preparing(label="Building", fraction=fraction))
    assert paper.getvalue() == "Building …\n✓ Building\n"


@pytest.mark.parametrize(
    ("pieces", "blocks"),
    [
        (["One.\n", "\nTwo"], ["", "One."]),
        (["```python\na\n\nb\n", "```\n\n"], ["", "```python\na\n\nb\n```"]),
        (["1. a\n\n", "2. b\n\nafter\n\n"], ["", "1. a\n\n2. b\n\nafter"]),
        (["````\n```\n\n", "````\n\n"], ["", "````\n```\n\n````"]),
    ],
)
def test_prose_comes_in_whole_blocks(pieces: list[str], blocks: list[str]) -> None:
    prose = Prose()
    assert [prose.add(piece) for piece in pieces] == blocks


def test_progress_bars_of_the_code_show_their_last_state() -> None:
    printed = Printed()
    assert printed.add("\r 10%\r 55%") == []
    assert printed.tail == [" 55%"]
    assert printed.add("\r100%\r\n") == ["100%"]


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "a/../../b", "..", "", "\x1b[2J\u202e", "x" * 400 + ".csv", "é" * 300, "CON\n.txt", "a/./b"]
)
def test_saved_files_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    folder = Folder(tmp_path, stage.THREAD)
    assert folder.keep(name, b"x").resolve().is_relative_to(folder.path.resolve())


def test_plots_of_different_steps_are_kept_apart(tmp_path: Path) -> None:
    folder = Folder(tmp_path, stage.THREAD)
    names = [folder.keep_new("figure-1.png", data).name for data in (b"a", b"b", b"a")]
    assert names == ["figure-1.png", "figure-1-2.png", "figure-1.png"]


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, images.Protocol.KITTY),
        ({"TERM": "xterm-ghostty"}, images.Protocol.KITTY),
        ({"TERM_PROGRAM": "WezTerm", "TERM": "xterm-256color"}, images.Protocol.ITERM),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, None),
    ],
)
def test_terminals_that_draw_are_known(environ: dict[str, str], protocol: images.Protocol | None) -> None:
    assert images.detect(environ) is protocol


@pytest.mark.parametrize("data", [b"", b"GIF89a", stage.PNG[:20], stage.PNG[:16] + b"\xff" * 8 + stage.PNG[24:]])
def test_what_is_no_sane_png_is_not_drawn(data: bytes) -> None:
    assert images.sequence(data, images.Protocol.KITTY, 80) is None


def test_large_pictures_are_sent_in_chunks() -> None:
    drawing = images.sequence(stage.PNG + b"\0" * 9000, images.Protocol.KITTY, 80)
    assert drawing is not None
    assert [part.partition(";")[0][-3:] for part in drawing.split("\x1b_G")[1:]] == ["m=1", "m=1", "m=0"]


async def test_a_stop_that_the_database_does_not_take_is_said(tmp_path: Path) -> None:
    async def play(core: stage.Stage, turn: stage.Turn, reply: stage.Reply) -> None:
        signal.raise_signal(signal.SIGINT)
        await core.stopped.wait()
        await reply.show(stage.ended(turn, [], "Done."))

    chat = Played(tmp_path, play)
    chat.core.away = True
    text = await chat.lines("first")
    assert "The database does not answer." in text
    assert "Done." in text
