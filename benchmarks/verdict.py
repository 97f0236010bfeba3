"""What the soak has to show: each question answered once, each count right or explained."""

from __future__ import annotations

import argparse
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codeact_bot.errors import ThreadNotFound
from codeact_bot.store.mongo import MongoStore
from codeact_bot.thread_session import STATE_BEHIND, STATE_LOST
from codeact_bot.types import Ending, Status, ThreadId, Turn
from tests.slack.emulator import CHANNEL, TEAM, Emulator, shown

AFTER = 15.0
"""Seconds for which a fault can still cost a turn its state: until the lease of a worker that was killed has ended and all is saved."""
ROWS = (
    "questions answered", "lost", "failed", "answered twice", "posts missing, double or wrong",
    "counts that went on", "counts that did not, and the thread was told", "of these without a fault nearby", "wrong counts", "left behind",
)  # fmt: skip


@dataclass(slots=True)
class Verdict:
    """What was found; the lists hold a line for each thing that is wrong."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)
    right: int = 0
    told: int = 0
    unexplained: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    heading: str = ""

    @property
    def wrong(self) -> bool:
        """Whether anything is not as it should be."""
        return any((self.lost, self.failed, self.doubled, self.posts, self.unexplained, self.miscounted, self.left))

    def figures(self, asked: argparse.Namespace, spent: float, waits: Sequence[float], faults: Counter[str]) -> None:
        """Say what was done."""
        done = ", ".join(f"{number} × {kind}" for kind, number in sorted(faults.items()))
        late = statistics.quantiles(waits, n=20)[-1] if len(waits) > 1 else 0.0
        self.heading = (
            f"{asked.messages:,} questions in {asked.threads:,} threads within {spent:.0f} s, {asked.sandbox} sandboxes, seed {asked.seed}; {done}. "
            f"From a question (when it was last sent) to its answer: {statistics.median(waits or [0]):.1f} s median, {late:.1f} s p95."
        )

    def table(self) -> str:
        """Return the figures, and below them what is wrong."""
        found = (self.lost, self.failed, self.doubled, self.posts)
        cells: list[object] = [self.answered, *map(len, found), self.right, self.told, *map(len, (self.unexplained, self.miscounted, self.left))]
        lines = [self.heading, "", "| found | number |", "| --- | --- |", *(f"| {name} | {cell:,} |" for name, cell in zip(ROWS, cells, strict=True))]
        wrong = [line for each in (*found, self.unexplained, self.miscounted, self.left) for line in each]
        return "\n".join([*lines, *(["", *wrong[:50]] if wrong else [])])


async def judge(store: MongoStore, slack: Emulator, threads: Sequence[str], asked: Mapping[str, int], faults: Sequence[tuple[float, str]]) -> Verdict:
    """Compare what was asked with what the database and the people's screens show."""
    verdict = Verdict()
    posts = defaultdict(list)
    for post in await slack.posts():
        posts[post.get("thread_ts", "")].append(post)
    questions = defaultdict(list)
    for ts, thread in asked.items():
        questions[threads[thread]].append(ts)
    for first, stamps in questions.items():
        thread = ThreadId(f"slack:{TEAM}:{CHANNEL}:{first}")
        try:
            turns = list(await store.turns(thread))
        except ThreadNotFound:
            turns = []
        check_turns(verdict, turns, {f"{CHANNEL}:{ts}" for ts in stamps})
        check_counts(verdict, turns, faults)
        check_posts(verdict, turns, posts[first])
    return verdict


def check_turns(verdict: Verdict, turns: Sequence[Turn], wanted: set[str]) -> None:
    """Hold the turns against the questions."""
    found = Counter(turn.incoming.id for turn in turns)
    verdict.lost += [f"lost: {each}" for each in sorted(wanted - set(found))]
    verdict.doubled += [f"answered {number} times: {each}" for each, number in found.items() if number > 1]
    for turn in turns:
        if turn.outcome is not None and turn.outcome.ending is Ending.ANSWERED:
            verdict.answered += 1
        else:
            verdict.failed.append(f"failed: {turn.incoming.id}: {turn.outcome}")


def check_counts(verdict: Verdict, turns: Sequence[Turn], faults: Sequence[tuple[float, str]]) -> None:
    """Hold each count against the one before."""
    count, before = 0, None
    for turn in turns:
        runs = [step.execution for step in turn.steps if step.execution is not None]
        good = [run for run in runs if run.status is Status.OK]
        notes = {note for run in runs for note in run.notes}
        now = int(good[-1].output.split()[1]) if good else count
        told = any(STATE_BEHIND in note or STATE_LOST in note for note in notes) or any(run.state_lost for run in runs)
        line = f"{turn.incoming.id} in {turn.incoming.thread}: {count} became {now}; {[run.status.value for run in runs]}; {sorted(notes)}"
        if now == count + 1 and len(good) == 1:
            verdict.right += 1
        elif told:
            verdict.told += 1
            if not _near(faults, turn) and not (before and _near(faults, before)):
                verdict.unexplained.append(f"no fault nearby: {line}")
        else:
            verdict.miscounted.append(f"wrong count: {line}")
        count, before = now, turn


def _near(faults: Sequence[tuple[float, str]], turn: Turn) -> bool:
    assert turn.ended is not None
    return any(turn.started.timestamp() - 1 <= at <= turn.ended.timestamp() + AFTER for at, _ in faults)


def check_posts(verdict: Verdict, turns: Sequence[Turn], posts: Sequence[dict[str, str]]) -> None:
    """Hold what people see against the history: one post per turn, which shows its answer."""
    seen = {post["ts"]: shown(post) for post in posts}
    for turn in turns:
        text = seen.pop(turn.reply.rpartition(":")[2], None)
        answer = re.search(r"The count is \d+\.", turn.outcome.text if turn.outcome else "")
        if text is None or (answer and answer[0] not in text):
            verdict.posts.append(f"post of {turn.incoming.id}, which was answered with {turn.outcome and turn.outcome.text!r}, shows {text!r}")
    verdict.posts += [f"post without a question: {text[:200]!r}" for text in seen.values()]
