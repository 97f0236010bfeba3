"""What the model is shown: old observations are shortened first, then old turns; the system prompt and the current turn never."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codeact_bot.agent.window import Window, turn_messages
from codeact_bot.types import (
    Answer,
    Author,
    Completion,
    Ending,
    Execution,
    File,
    Incoming,
    Malformed,
    Message,
    Outcome,
    RunCode,
    Status,
    Step,
    ThreadId,
    Turn,
    Usage,
)

SYSTEM = "You are the system prompt."
FREE = {"context_tokens": 100_000, "reply_tokens": 1_000}


def turn(number, *, printed="one line", answer="Fine.", outcome=True):
    """Return a turn of one step of code and an answer."""
    incoming = Incoming(id=f"m{number}", thread=ThreadId("t:1"), author=Author(id="u", name="Ann"), text=f"question {number}")
    execution = Execution(status=Status.OK, output=printed, files=(File.of(f"made-{number}.csv", b"x"),))
    code = Step(
        index=0,
        completion=Completion(text=f"thought {number}\n\n```python\nprint({number})\n```"),
        action=RunCode(thought=f"thought {number}", code=f"print({number})"),
        execution=execution,
        observation=f"<output>\n{printed}\n</output>",
    )
    last = Step(index=1, completion=Completion(text=answer), action=Answer(text=answer))
    done = Outcome(ending=Ending.ANSWERED, text=answer) if outcome else None
    return Turn(id=f"turn{number}", incoming=incoming, steps=(code, last) if outcome else (code,), outcome=done)


def text(messages):
    return "\n".join(message.content for message in messages)


def test_what_fits_is_shown_in_full():
    past = [turn(number) for number in range(5)]
    current = turn(9, outcome=False)
    messages = Window(**FREE).fit(SYSTEM, past, current)
    assert messages == [Message(role="system", content=SYSTEM), *[message for each in [*past, current] for message in turn_messages(each)]]


def test_old_observations_are_shortened_before_anything_is_summarised():
    past = [turn(number, printed="x" * 8_000) for number in range(4)]
    window = Window(context_tokens=8_000, reply_tokens=500)
    messages = window.fit(SYSTEM, past, turn(9, outcome=False))
    shown = text(messages)
    assert "Summary" not in shown
    assert "characters cut" in shown
    assert [("x" * 8_000) in text(turn_messages(each)) and ("x" * 8_000) in shown for each in past] == [True] * 4, "the newest stay whole"
    assert shown.count("x" * 8_000) in (1, 2, 3)
    assert shown.index("characters cut") < shown.index("x" * 8_000), "the oldest are shortened first"
    assert window.tokens(messages) <= 7_500


def test_then_old_turns_are_summarised_with_question_steps_files_and_answer():
    past = [turn(number, answer="a" * 3_000) for number in range(6)]
    window = Window(context_tokens=4_500, reply_tokens=500)
    shown = text(window.fit(SYSTEM, past, turn(9, outcome=False)))
    assert "(Summary of an earlier turn.)" in shown
    assert "- thought 0 → ok" in shown
    assert 'Files made: "made-0.csv".' in shown
    assert "question 0" in shown
    assert "print(5)" in shown, "the newest turn is whole"


def test_then_old_turns_are_left_out_and_counted():
    past = [turn(number, answer="a" * 3_000) for number in range(40)]
    window = Window(context_tokens=4_000, reply_tokens=500)
    messages = window.fit(SYSTEM, past, turn(99, outcome=False))
    assert "earlier exchanges are not shown here" in messages[1].content
    assert "question 39" in text(messages)
    assert "question 0\n" not in text(messages)
    assert window.tokens(messages) <= 3_600


def test_the_system_prompt_and_the_current_turn_are_never_touched():
    current = turn(9, printed="y" * 50_000, outcome=False)
    messages = Window(context_tokens=2_000, reply_tokens=500).fit(SYSTEM, [turn(number) for number in range(9)], current)
    assert messages[0] == Message(role="system", content=SYSTEM)
    assert messages[-len(turn_messages(current)) :] == turn_messages(current)


@given(st.lists(st.integers(0, 9_000), max_size=12), st.integers(1_000, 30_000))
@example([0, 0, 0, 0, 0, 397, 567], 1_036)
def test_roles_alternate_and_the_newest_turns_are_the_fullest(sizes, context):
    past = [turn(number, printed="z" * size) for number, size in enumerate(sizes)]
    window = Window(context_tokens=context, reply_tokens=500)
    messages = window.fit(SYSTEM, past, turn(99, outcome=False))
    assert [message.role for message in messages[1:]] == ["user", "assistant"] * (len(messages[1:]) // 2) + ["user"]
    shown = text(messages)
    whole = [text(turn_messages(each)) in shown for each in past]
    fits = window.tokens(messages) <= context - 500
    assert fits or len(messages) <= 2 + 1 + len(turn_messages(turn(99, outcome=False)))
    asked = [f"question {number}\n" in f"{shown}\n" for number in range(len(past))]
    assert asked == sorted(asked), "a newer turn goes only after all older ones"
    assert all(whole) or not whole[0] or "characters cut" not in shown or sizes[0] <= 400


def test_tokens_are_counted_by_what_the_model_reports():
    window = Window()
    messages = [Message(role="user", content="x" * 4_000)]
    assert window.tokens(messages) == 1_004
    window.learn(messages, Usage(input_tokens=2_000))
    assert window.tokens(messages) == 2_004


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=10, estimated=True)])
def test_estimates_teach_nothing(usage):
    window = Window()
    window.learn([Message(role="user", content="x" * 4_000)], usage)
    assert window.characters_per_token == 4.0


def test_absurd_figures_are_bounded():
    window = Window()
    window.learn([Message(role="user", content="x" * 4_000)], Usage(input_tokens=1))
    assert window.characters_per_token == 8.0
    window.learn([Message(role="user", content="x")], Usage(input_tokens=100_000))
    assert window.characters_per_token == 0.5


def test_a_nearly_full_context_makes_the_next_observation_shorter():
    window = Window(context_tokens=10_000, reply_tokens=1_000)
    assert window.room_for_observation([]) == 9_000
    assert window.room_for_observation([Message(role="user", content="x" * 30_000)]) == 1_496
    assert window.room_for_observation([Message(role="user", content="x" * 60_000)]) == 1_000


def test_a_turn_without_an_answer_says_how_it_ended():
    stopped = replace(turn(1), outcome=Outcome(ending=Ending.STOPPED, text="Stopped by Ann."))
    assert turn_messages(stopped)[-1] == Message(role="assistant", content="(This turn ended without an answer: Stopped by Ann.)")


def test_a_step_that_a_crash_left_open_is_told_as_lost():
    opened = replace(turn(1, outcome=False).steps[0], execution=None, observation="")
    messages = turn_messages(replace(turn(1, outcome=False), steps=(opened,)))
    assert "was interrupted and its result is lost" in messages[-1].content
    assert "was not run again" in messages[-1].content


def test_a_malformed_action_keeps_its_advice():
    step = Step(
        index=0,
        completion=Completion(text="```python\nx ="),
        action=Malformed(thought="", code="x =", reason="Cut."),
        observation="Nothing was run. Cut.",
    )
    messages = turn_messages(replace(turn(1, outcome=False), steps=(step,)))
    assert messages[-1].content == "Nothing was run. Cut."


def test_an_empty_completion_is_not_sent_as_an_empty_message():
    step = Step(index=0, completion=Completion(text=""), action=Answer(text=""))
    assert turn_messages(replace(turn(1), steps=(step,)))[1].content == "(empty)"
