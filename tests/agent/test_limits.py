"""Each budget ends a turn in its own way; a model that turns in circles is nudged once, then stopped."""

from dataclasses import replace

import pytest

from codeact_bot.agent.limits import exceeded, failed_in_a_row, nudge_due, stuck
from codeact_bot.types import CodeError, Completion, Ending, Execution, Limits, RunCode, Status, Step, Usage


def step(index, code="x", output="", error=None, usage=Usage(), cut=0):
    failure = CodeError(type=error, message="it") if error else None
    run = Execution(status=Status.ERROR if error else Status.OK, output=output, error=failure, cut=cut)
    return Step(index=index, completion=Completion(text=code, usage=usage), action=RunCode(thought="", code=code), execution=run)


def steps(*described):
    return [step(index, **one) for index, one in enumerate(described)]


@pytest.mark.parametrize(("limits", "done", "seconds", "which"), [
    (Limits(steps=2), steps({"code": "a"}, {"code": "b"}), 0, "steps"),
    (Limits(consecutive_errors=2), steps({"code": "a", "error": "KeyError"}, {"code": "b", "error": "TypeError"}), 0, "consecutive_errors"),
    (Limits(tokens=10), steps({"usage": Usage(input_tokens=8, output_tokens=2)}), 0, "tokens"),
    (Limits(cost=0.5), steps({"usage": Usage(cost=0.5)}), 0, "cost"),
    (Limits(output=10), steps({"output": "12345", "cut": 6}), 0, "output"),
    (Limits(turn_seconds=5), [], 5, "turn_seconds"),
])  # fmt: skip
def test_each_budget_has_its_own_outcome(limits, done, seconds, which):
    outcome = exceeded(limits, done, seconds)
    assert (outcome.ending, outcome.limit) == (Ending.LIMIT, which)
    assert len(outcome.text) > 40
    assert exceeded(Limits(), done, 0) is None


def test_a_success_breaks_a_row_of_errors():
    assert failed_in_a_row(steps({"error": "KeyError"}, {}, {"error": "KeyError"})) == 1


@pytest.mark.parametrize("done", [
    steps(*[{"code": "a", "output": "1"}] * 3),
    steps({"code": "a", "error": "KeyError"}, {"code": "b", "error": "KeyError"}, {"code": "c", "error": "KeyError"}),
    steps(*[{"code": "a", "output": "1"}, {"code": "b", "output": "2"}] * 3),
])  # fmt: skip
def test_circles_are_found_nudged_once_then_stopped(done):
    assert stuck(done)
    assert not stuck(done[:-1])
    assert nudge_due(done)
    assert exceeded(Limits(), done, 0) is None
    again = [*done, step(len(done), code=done[-2].action.code, output=done[-2].execution.output, error=done[-1].execution.error and "KeyError")]
    assert exceeded(Limits(), again, 0).limit == "stuck"
    assert not nudge_due(again)


def test_steps_that_were_lost_are_no_circle_and_have_a_sentence_of_their_own():
    gone = Execution(status=Status.LOST)
    lost = [replace(each, execution=gone) for each in steps(*[{"code": "a"}] * 5)]
    assert not any(nudge_due(lost[:count]) for count in range(6))
    assert exceeded(Limits(), lost[:4], 0) is None
    assert exceeded(Limits(), lost, 0).text.startswith("5 times in a row the step was lost")
    same = steps(*[{"code": "a", "output": "1"}] * 3)
    assert exceeded(Limits(), [*same, lost[0]], 0) is None, "only a further repetition ends the turn"
    assert exceeded(Limits(), [*same, lost[0], same[0]], 0).limit == "stuck"
    mixed = [*steps({"code": "a", "error": "KeyError"}), *lost[:4]]
    assert exceeded(Limits(), mixed, 0).text.startswith("5 attempts in a row failed")


def test_progress_is_no_circle():
    assert not stuck(steps(*[{"code": "poll()", "output": str(count)} for count in range(3)]))
