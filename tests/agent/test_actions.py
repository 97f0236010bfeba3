"""From text to action: what is run, what is an answer, what is malformed."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeact_bot.agent.actions import ActionParser, parse
from codeact_bot.types import Answer, Malformed, RunCode

FENCE = "```"


def fenced(code, info="python"):
    return f"{FENCE}{info}\n{code}\n{FENCE}"


def streamed(text, cuts):
    """Feed the text in pieces; return the thought that was shown and the action."""
    parser, shown, start = ActionParser(), "", 0
    for end in [*sorted(cuts), len(text)]:
        piece, complete = parser.feed(text[start:end])
        shown, start = shown + piece, max(start, end)
        if complete:
            break
    return shown + parser.end(), parser.action


@pytest.mark.parametrize("info", ["python", "py", "python3", "Python", "PYTHON", "python title=x"])
def test_a_python_block_is_run(info):
    action = parse(f"Let me see.\n\n{fenced('print(1)', info)}\n")
    assert (type(action), action.code, action.thought) == (RunCode, "print(1)", "Let me see.")


@pytest.mark.parametrize("text", [
    "It is 42.",
    "Use `python` like ```this```.",
    fenced("ls -l", "bash"),
    fenced('{"a": 1}', "json"),
    fenced("print(1)", ""),
    "",
][:-1])  # fmt: skip
def test_what_has_no_python_block_is_the_answer(text):
    assert parse(text) == Answer(text=text)


def test_execute_tags_are_run():
    assert parse("I look.\n<execute>\nprint(1)\n</execute>").code == "print(1)"
    assert parse("<execute>print(1)</execute>").code == "print(1)"


@pytest.mark.parametrize("code", [
    's = """\n```\ninside\n```\n"""\nprint(s)',
    "s = '''```python\nx\n```'''",
    'print("```")',
    "# ``` in a comment\nx = 1",
])  # fmt: skip
def test_fences_inside_strings_do_not_end_the_block(code):
    assert parse(f"{fenced(code)}\nand prose").code == code


def test_line_ends_of_windows():
    assert parse("Look:\r\n```python\r\nx = 1\r\nprint(x)\r\n```\r\n").code == "x = 1\nprint(x)"


def test_indented_blocks_lose_their_indentation():
    assert parse("1. Do this:\n\n   ```python\n   for i in range(2):\n       print(i)\n   ```\n").code == "for i in range(2):\n    print(i)"


def test_the_first_of_several_counts_and_ends_the_stream():
    text = f"{fenced('a = 1')}\n{fenced('b = 2')}\n"
    parser = ActionParser()
    shown, complete = parser.feed(text)
    assert complete
    assert parser.action.code == "a = 1"


def test_an_unclosed_last_fence_is_run_when_it_is_whole():
    assert parse("```python\nprint(1)").code == "print(1)"
    assert isinstance(parse("```python\nprint(1"), Malformed)


@pytest.mark.parametrize("text", [
    fenced(""), fenced("  \n"), "<execute></execute>", fenced("cat in.csv | head"), fenced("this is prose, you see"), fenced("!pip install x"), "",
])  # fmt: skip
def test_what_is_not_python_is_malformed_and_says_what_to_do(text):
    action = parse(text)
    assert isinstance(action, Malformed)
    assert "```python" in action.reason or "answer" in action.reason or "subprocess" in action.reason


def test_top_level_await_is_python():
    assert isinstance(parse(fenced("import asyncio\nawait asyncio.sleep(0)")), RunCode)


@given(st.text(alphabet="`~python\n\r <>/execut'\"#a1=()", max_size=120))
def test_any_text_gives_some_action(text):
    assert isinstance(parse(text), RunCode | Answer | Malformed)


@given(st.lists(st.sampled_from(["x = 1", "s = '```'", 't = """\n```\n"""', "# ```python", "print('a')", "if x:\n    pass"]), min_size=1), st.data())
def test_however_the_stream_is_cut_the_action_is_the_same(lines, data):
    code = "\n".join(["y = 2", *lines])
    text = f"Some `thought` with ``` ticks.\n\n{fenced(code)}\nNever read."
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    shown, action = streamed(text, cuts)
    assert (type(action), action.code) == (RunCode, code)
    assert shown.strip() == action.thought == "Some `thought` with ``` ticks."
    ast.parse(action.code)


@given(st.text(alphabet="`~python\n\r <>/execut'\"#a1=()", max_size=80), st.data())
def test_cuts_change_nothing(text, data):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert streamed(text, cuts)[1] == parse(text)
