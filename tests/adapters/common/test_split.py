"""Nothing is lost, nothing is too long, no fence is broken."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.common.split import head_tail, split

LINES = st.lists(
    st.one_of(
        st.sampled_from(["", "```python", "```", "~~~", "````", "| a | b |", "|---|---|", "| 1 | 2 |", "# Title", "- item", "    code"]),
        st.text(alphabet="ab c`|~é𝄞\u200d👩", max_size=300),
    ),
    max_size=25,
).map("\n".join)


def units(text):
    return len(text.encode("utf-16-le")) // 2


def words(text):
    return re.sub(r"\s", "", text)


@given(LINES, st.integers(80, 400))
@example("```python\n" + "x = 1\n" * 100 + "```", 100)
@example("`" * 300 + "\nx", 100)
def test_pieces_fit_and_plain_text_is_whole(text, limit):
    pieces = split(text, limit, units)
    assert all(units(piece) <= limit for piece in pieces)
    if "`" not in text and "~" not in text and "|" not in text:
        assert words("".join(pieces)) == words(text)


@given(st.lists(st.text(alphabet="abc =()#", min_size=1, max_size=60), min_size=1, max_size=60), st.sampled_from(["python", "", "c++"]))
def test_a_cut_fence_is_closed_and_opened_again_and_its_lines_are_whole(lines, language):
    pieces = split(f"before\n```{language}\n" + "\n".join(lines) + "\n```\nafter", 120)
    code = []
    for piece in pieces:
        inside = False
        for line in piece.split("\n"):
            if line.startswith("```"):
                assert line == ("```" if inside else f"```{language}")
                inside = not inside
            elif inside:
                code.append(line)
        assert not inside
    assert code == lines


def test_a_cut_table_repeats_its_header_and_keeps_its_rows_whole():
    rows = [f"| {number} | {'x' * 20} |" for number in range(40)]
    pieces = split("\n".join(["Look:", "| n | x |", "|---|---|", *rows]), 300)
    assert len(pieces) > 3
    tables = [piece[piece.index("| n |") :].split("\n") for piece in pieces if "| n |" in piece]
    assert [row for table in tables for row in table[2:]] == rows
    assert all(table[:2] == ["| n | x |", "|---|---|"] for table in tables)


def test_paragraphs_and_words_stay_whole():
    text = "\n\n".join("word " * 15 + f"end{number}." for number in range(9))
    pieces = split(text, 200)
    assert all(piece.endswith(".") for piece in pieces)
    assert split("a" * 70 + " " + "b" * 60, 80) == ["a" * 70, "b" * 60]
    assert split("short", 80) == ["short"]
    assert split("", 80) == []


@given(st.text(max_size=3000), st.integers(200, 1000))
def test_head_and_tail_say_what_they_leave_out(text, limit):
    shown, cut = head_tail(text, limit)
    if len(text) <= limit:
        assert (shown, cut) == (text, 0)
    else:
        head, tail = shown.split(f"\n… {cut:,} characters left out …\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head) + len(tail) + cut == len(text)
        assert len(head) + len(tail) <= limit


@given(st.lists(st.text("ab ", max_size=30), max_size=60), st.integers(200, 1000), st.integers(2, 12))
def test_head_and_tail_have_no_more_lines_than_wanted(lines, limit, most):
    text = "\n".join(lines)
    shown, cut = head_tail(text, limit, most)
    if len(text) <= limit and len(text.rstrip("\n").split("\n")) <= most:
        assert (shown, cut) == (text, 0)
    else:
        head, tail = shown.split(f"\n… {cut:,} characters left out …\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head) + len(tail) + cut == len(text)
        assert len(head) + len(tail) <= limit
        assert len(head.split("\n")) + len(tail.rstrip("\n").split("\n")) <= most


def test_head_and_tail_of_many_lines_are_the_first_and_the_last():
    assert head_tail("\n".join(map(str, range(100))), 500, 4) == ("0\n1\n… 281 characters left out …\n98\n99", 281)


@pytest.mark.parametrize("limit", [100, 2000])
def test_head_and_tail_prefer_whole_lines(limit):
    text = "\n".join(f"line {number}" for number in range(1000))
    shown, _ = head_tail(text, limit)
    lines = shown.split("\n")
    assert all(line in text.split("\n") or "left out" in line for line in lines)
