"""Text for people: taming, figures, summaries."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from adapters.render import after_return, clean, columns_that_fit, cost_text, one_line, seconds_text, size_text, step_summary, trouble
from codeact_bot.types import Completion, Malformed, Status, Step
from tests.adapters import stage

VISIBLE_FORMATS = {"\u0600", "\u0601", "\u0602", "\u0603", "\u0604", "\u0605", "\u06dd", "\u0890", "\u0891", "\u08e2", "\U000110bd", "\U000110cd"}
"""Characters of category Cf that are printed: Arabic and Kaithi number signs."""


def test_every_invisible_character_is_removed() -> None:
    left = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and clean(chr(code))}
    assert {c for c in left if clean(c) != "\n"} == VISIBLE_FORMATS | {"\t"}


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\label\x1b]8;;\x1b\\", "label"),
        ("\x1b]0;never closed\nnext", "\nnext"),
        ("\x1bcreset", "reset"),
        ("\x9b2Jx", "x"),
        ("a\r\nb", "a\nb"),
        ("naïve 日本 🎉", "naïve 日本 🎉"),
    ],
)
def test_escape_sequences_are_removed(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_cleaning_twice_changes_nothing() -> None:
    nested = "\x1b\x1b[[2J\x1b[\x1b[31m1m\x9b\x1b]x\x07"
    assert clean(clean(nested)) == clean(nested)
    assert "\x1b" not in clean(nested)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.004, "4 ms"), (0.04, "40 ms"), (0.0, "1 ms"), (0.42, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.9, "1 min 0 s"), (80, "1 min 20 s")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (12_345, "12 KB"), (999_600, "1.0 MB"), (16_777_216, "17 MB"), (3 * 10**12, "3,000 GB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_costs() -> None:
    assert [cost_text(0.0031), cost_text(1.25), cost_text(0.5, estimated=True)] == ["$0.0031", "$1.25", "~$0.5000"]


def test_one_line_is_cut_with_an_ellipsis() -> None:
    assert one_line("a  b\n\x1b[1mc", 20) == "a b c"
    assert one_line("x" * 30, 10) == "x" * 9 + "…"


def test_a_carriage_return_hides_what_it_overwrites() -> None:
    assert after_return("10%\r50%\r") == "50%"


def test_a_table_keeps_at_least_one_column() -> None:
    assert [columns_that_fit(stage.TABLE, width) for width in (3, 10, 17, 100)] == [1, 1, 2, 4]


def test_steps_are_summed_up() -> None:
    assert step_summary(stage.ran(1, "x")) == "step 2 · 0.4 s · $0.0012"
    assert step_summary(stage.ran(0, "x", status=Status.TIMEOUT)) == "step 1 · out of time · 0.4 s · $0.0012"
    malformed = Step(index=2, completion=Completion(text="", seconds=1.2), action=Malformed(thought="", code="1 +", reason="Not Python."))
    assert step_summary(malformed) == "step 3 · no code that could run · 1.2 s"


def test_lost_variables_are_named() -> None:
    step = stage.ran(0, "x", status=Status.KILLED, state_lost=True, lost=tuple(f"v{n}" for n in range(14)))
    assert step.execution is not None
    assert trouble(step.execution).endswith("v10, v11 and 2 more. Files are still there.")
