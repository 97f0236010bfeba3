"""The terminal chat in a real pseudo-terminal, looked at through a terminal emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import Deed, Trail
from tests.adapters.pseudo_terminal import Terminal, running

PROGRAM = "tests.adapters.terminal_program"
ENTER, ALT_ENTER, CTRL_C, CTRL_D, UP = "\r", "\x1b\r", "\x03", "\x04", "\x1b[A"


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    with running(PROGRAM, str(tmp_path), "all") as terminal:
        terminal.wait_for("›")
        yield terminal


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Terminal]:
    with running(PROGRAM, str(tmp_path), "stop") as terminal:
        terminal.wait_for("›")
        yield terminal


def test_a_question_is_asked_and_answered(chat: Terminal) -> None:
    chat.type(f"Which region?{ENTER}")
    chat.wait_for("5 steps · 4.2 s · 2,400 tokens · $0.0060")
    text = chat.text
    for part in ("❱ 6 by_region", "KeyError: 'prcie'", "│ south 61002.0", "… 237 more rows", "✓ step 3 · 0.4 s · $0.0012", "figure-1.png"):
        assert part in text
    chat.wait_for("›", times=2)
    assert "Ctrl-C stops" not in chat.text
    chat.type(CTRL_D)
    assert chat.wait_end() == 0
    assert "LEFT after 1: ['Which region?']" in chat.text


def test_what_streamed_is_printed_once(chat: Terminal) -> None:
    chat.type(f"Which region?{ENTER}")
    chat.wait_for("5 steps")
    assert chat.text.count("The west leads.") == 1
    assert chat.text.count("Then group it.") == 1
    assert "Let me look at sales.csv." in chat.text


def test_several_lines_make_one_message(chat: Terminal) -> None:
    chat.type(f"one{ALT_ENTER}two\x1b[200~\nthree\nfour\x1b[201~{ENTER}")
    chat.wait_for("5 steps")
    chat.type(CTRL_D)
    chat.wait_end()
    assert r"LEFT after 1: ['one\ntwo\nthree\nfour']" in chat.text


def test_ctrl_c_clears_the_line_and_leaves_at_the_second_empty_one(chat: Terminal) -> None:
    chat.type("abandoned")
    chat.wait_for("abandoned")
    chat.type(CTRL_C)
    chat.wait_gone("abandoned")
    chat.type(CTRL_C)
    chat.wait_for("Ctrl-C again or Ctrl-D leaves")
    chat.type(CTRL_C)
    assert chat.wait_end() == 0
    assert "LEFT after 0" in chat.text


def test_ctrl_c_stops_the_run_and_not_the_program(endless: Terminal) -> None:
    endless.type(f"go{ENTER}")
    endless.wait_for("step 1 · running")
    endless.type(CTRL_C)
    endless.wait_for("Stopped. Variables are kept.")
    endless.wait_for("›", times=2)
    endless.type(f"again{ENTER}")
    endless.wait_for("step 1 · running")
    endless.type(CTRL_C)
    endless.wait_for("Stopped. Variables are kept.", times=2)
    endless.wait_for("›", times=3)
    endless.type(f"/quit{ENTER}")
    assert endless.wait_end() == 0
    assert "LEFT after 2: ['go', 'again']" in endless.text
    assert "RECORDED ['stopped Ada terminal:4f1c9a', 'stopped Ada terminal:4f1c9a']" in endless.text


def test_ctrl_c_gives_up_a_command_that_hangs(endless: Terminal) -> None:
    endless.type(f"/files{ENTER}")
    endless.wait_for("Ctrl-C stops")
    endless.interrupt()
    endless.wait_for("Stopped.")
    endless.wait_for("›", times=2)
    endless.type(CTRL_D)
    assert endless.wait_end() == 0


def test_keys_during_a_run_do_not_garble_the_screen_and_are_not_lost(endless: Terminal) -> None:
    endless.type(f"go{ENTER}")
    endless.wait_for("step 1 · running")
    endless.type("typed ahead\x7f\x7f\x7f\x7f\x7fbefore\rand a draft")
    endless.interrupt()
    endless.wait_for("Stopped. Variables are kept.")
    assert b"and a draft" not in endless.raw.partition(b"Stopped. Variables")[0]
    endless.wait_for("› typed before")
    endless.wait_for("step 1 · running")
    endless.interrupt()
    endless.wait_for("› and a draft")


def test_commands_are_completed_and_misspelt_ones_corrected(chat: Terminal) -> None:
    chat.type("/hi")
    chat.wait_for("show this conversation's questions")
    chat.type(f"\t{ENTER}")
    chat.wait_for("Nothing has been asked")
    assert "╯\n\n› /history" in chat.text
    chat.type(f"/exprot{ENTER}")
    chat.wait_for("Did you mean /export?")


def test_earlier_lines_come_back_in_the_next_run(tmp_path: Path) -> None:
    for expected in ("", "remember me"):
        with running(PROGRAM, str(tmp_path), "all") as chat:
            chat.wait_for("›")
            if expected:
                chat.type(UP)
                chat.wait_for(expected)
            else:
                chat.type(f"remember me{ENTER}")
                chat.wait_for("5 steps")
                chat.wait_for("›", times=2)
            chat.type(CTRL_C + CTRL_D)
            chat.wait_end()


def test_a_dropped_file_goes_with_the_next_message(chat: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "my data.csv"
    path.write_text("a,b\n")
    chat.type(f"'{path}'{ENTER}")
    chat.wait_for("my data.csv (4 B)")
    chat.type(f"look{ENTER}")
    chat.wait_for("5 steps")
    chat.wait_for("›", times=3)
    chat.type(CTRL_D)
    chat.wait_end()
    assert "WITH ['my data.csv']" in chat.text


def test_forty_columns_are_enough(tmp_path: Path) -> None:
    with running(PROGRAM, str(tmp_path), "all", columns=40, rows=16) as chat:
        chat.wait_for("›")
        chat.type(f"Which region?{ENTER}")
        chat.wait_for("5 steps")
        assert "… 237 more rows" in chat.text
        assert "more column" in chat.text


@pytest.mark.parametrize(
    ("environ", "drawn"), [({"KITTY_WINDOW_ID": "1"}, b"\x1b_Ga=T"), ({"TERM_PROGRAM": "iTerm.app"}, b"\x1b]1337;File="), ({}, None)]
)
def test_pictures_are_drawn_only_where_the_terminal_can(tmp_path: Path, environ: dict[str, str], drawn: bytes | None) -> None:
    with running(PROGRAM, str(tmp_path), "all", **environ) as chat:
        chat.wait_for("›")
        chat.type(f"plot{ENTER}")
        chat.wait_for("5 steps")
        assert b"\x1b]8;" in chat.raw
        if drawn is None:
            assert b"\x1b_G" not in chat.raw
            assert b"\x1b]1337" not in chat.raw
        else:
            assert chat.raw.count(drawn) == 1


def test_no_color_is_honoured(tmp_path: Path) -> None:
    with running(PROGRAM, str(tmp_path), "all", NO_COLOR="1", PROMPT_TOOLKIT_COLOR_DEPTH="DEPTH_1_BIT") as chat:
        chat.wait_for("›")
        chat.type(f"Which region?{ENTER}")
        chat.wait_for("5 steps")
        assert b"\x1b[31m" not in chat.raw
        assert b"\x1b[36m" not in chat.raw
        assert b";38;" not in chat.raw


@pytest.mark.needs("mongo")
def test_a_stop_and_an_export_are_in_the_audit_of_the_database(tmp_path: Path, mongo_url: str) -> None:
    """The program as a person starts it, on real parts; it begins with its tour."""
    told = {"CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": f"terminal-{tmp_path.name}", "CODEACT_SANDBOX": "process", "CODEACT_WEB": "off"}
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    with running("codeact_bot.cli", "chat", columns=140, **told, **home) as chat:
        chat.wait_for("step 1")
        chat.interrupt()
        chat.wait_for("■ stopped")
        chat.type(f"/export json{ENTER}")
        chat.wait_for("saved")
        chat.type(f"/quit{ENTER}")
        assert chat.wait_end() == 0

    async def found() -> list[tuple[Deed, str]]:
        store = await MongoStore.open(mongo_url, told["CODEACT_DATABASE"])
        try:
            return [(each.entry.kind, each.entry.subject) for each in (await store.records(Trail())).records]
        finally:
            await store.aclose()

    records = asyncio.run(found())
    assert records.count((Deed.STOPPED, "")) == 1
    assert records.count((Deed.EXPORTED, "json")) == 1
