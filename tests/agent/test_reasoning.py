"""Reasoning inside the reply: nothing in it runs, is shown, is the answer or goes back to the model."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeact_bot.agent.actions import ActionParser, parse
from codeact_bot.agent.reasoning import ReasoningFilter, without_reasoning
from codeact_bot.types import Answer, Malformed, RunCode

BLOCK = "```python\nprint(1)\n```"
PIECES = st.lists(st.sampled_from(["<think>", "</think>", "<thinking>", "</Thinking>", "<", "think>", "\n", " ", "x", "`", BLOCK, "<table>"]), max_size=10)


def in_pieces(text, cuts):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>2 and 2 …</think>It is 4.", "It is 4."),
        ("<think>a</think>\n\n  It is 4.", "It is 4."),
        ("\n<THINKING>\na\n</thinking>It is 4.", "It is 4."),
        ("<think>a</think>\n<think>b</think>\nIt is 4.", "It is 4."),
        ("It <think>is</think> 4.", "It <think>is</think> 4."),
        ("<thin> ice", "<thin> ice"),
        ("  indented", "  indented"),
        ("<thi", "<thi"),
        ("<think>never closed", ""),
        ("<think></think>", ""),
    ],
)
def test_what_is_said_beside_the_reasoning(text, said):
    assert without_reasoning(text) == said


def test_code_in_the_reasoning_never_runs_and_code_after_it_does():
    assert parse(f"<think>Maybe\n{BLOCK}\n</think>It is 4.") == Answer(text="It is 4.")
    assert parse(f"<think>Maybe\n```python\nboom()\n```\n</think>I look.\n{BLOCK}") == RunCode(thought="I look.", code="print(1)")


def test_the_stream_goes_on_over_a_block_in_the_reasoning():
    parser = ActionParser()
    assert parser.feed(f"<think>\n{BLOCK}\nhm") == ("", False)
    assert parser.feed(f"</think>\n{BLOCK}\n") == ("", True)


def test_a_reply_that_ends_inside_its_reasoning_is_malformed_and_says_so():
    action = parse("<think>I could\n" + BLOCK)
    assert isinstance(action, Malformed)
    assert "inside its reasoning" in action.reason


@given(PIECES.map("".join), st.lists(st.integers(0, 80), max_size=12))
def test_however_the_stream_is_cut_the_same_is_said(text, cuts):
    reader = ReasoningFilter()
    assert "".join(map(reader.feed, in_pieces(text, cuts))) + reader.end() == without_reasoning(text)


@given(st.text().filter(lambda text: "</think>" not in text.lower()), st.text(max_size=60))
def test_reasoning_changes_nothing_of_the_action(reasoning, reply):
    told = reply.lstrip()
    if not told.lower().startswith(("<think>", "<thinking>")):
        assert parse(f"<think>{reasoning}</think>{reply}") == parse(told)
