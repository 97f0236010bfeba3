"""The soak at a small size, and that its verdict finds what is wrong."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.verdict import Verdict, check_counts, check_posts, check_turns
from codeact_bot.thread_session import STATE_BEHIND
from codeact_bot.types import Author, Completion, Ending, Execution, Incoming, Outcome, RunCode, Status, Step, ThreadId, Turn, now

ROOT = Path(__file__).parents[1]


@pytest.mark.needs("mongo", "slack")
@pytest.mark.timeout(300)
def test_under_faults_every_question_is_answered_once_and_every_count_is_right():
    size = ["--threads", "20", "--messages", "60", "--kills", "2", "--restarts", "1", "--removals", "3", "--sandbox", "process"]
    ended = subprocess.run([sys.executable, "-m", "benchmarks.soak", *size], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| questions answered | 60 |" in ended.stdout
    assert "2 × worker killed" in ended.stdout


BEGAN = now()


def turn(number: int, count: int, *notes: str, ending: Ending = Ending.ANSWERED) -> Turn:
    """A turn of a soak, which began a minute after the one before."""
    at = BEGAN + timedelta(minutes=number)
    execution = Execution(status=Status.OK, output=f"count {count}\n", notes=notes)
    return Turn(
        id=f"t{number}",
        incoming=Incoming(id=f"m{number}", thread=ThreadId("slack:T:C:1"), author=Author(id="u", name="Ann"), text="count"),
        steps=(Step(index=0, completion=Completion(text=""), action=RunCode(thought="", code=""), execution=execution),),
        outcome=Outcome(ending=ending, text=f"The count is {count}."),
        reply=f"C:1:{number}",
        started=at,
        ended=at + timedelta(seconds=1),
    )


def counted(*turns: Turn, faults: tuple[tuple[float, str], ...] = ()) -> Verdict:
    verdict = Verdict()
    check_counts(verdict, turns, faults)
    return verdict


def test_a_count_that_goes_on_is_right():
    assert (counted(turn(1, 1), turn(2, 2)).right, counted(turn(1, 1), turn(2, 2)).wrong) == (2, False)


@pytest.mark.parametrize("count", [1, 3])
def test_a_count_that_jumps_without_a_word_is_wrong(count):
    assert counted(turn(1, 1), turn(2, count)).miscounted


def test_a_count_that_fell_back_with_a_word_needs_a_fault_nearby():
    assert counted(turn(1, 1), turn(2, 1, STATE_BEHIND)).unexplained
    explained = counted(turn(1, 1), turn(2, 1, STATE_BEHIND), faults=((BEGAN.timestamp() + 121, "worker killed"),))
    assert (explained.told, explained.wrong) == (1, False)


def test_lost_doubled_and_failed_answers_are_found():
    verdict = Verdict()
    check_turns(verdict, [turn(1, 1), turn(1, 1), turn(2, 2, ending=Ending.FAILED)], {"m1", "m2", "m3"})
    assert (len(verdict.lost), len(verdict.doubled), len(verdict.failed)) == (1, 1, 1)


@pytest.mark.parametrize("posts", [[], [{"ts": "1", "text": "Working…"}], [{"ts": "1", "text": "The count is 1."}, {"ts": "2", "text": "The count is 1."}]])
def test_a_post_that_is_missing_stale_or_double_is_found(posts):
    verdict = Verdict()
    check_posts(verdict, [turn(1, 1)], posts)
    assert len(verdict.posts) == 1
