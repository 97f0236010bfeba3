"""A month of a small team that never was: what people asked, what ran, what went wrong. For pictures; the same each time but for its dates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from benchmarks.audit import document
from codeact_bot.audit import turn_entries
from codeact_bot.store import documents, queries, records
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import (
    Answer,
    Author,
    Change,
    CodeError,
    Completion,
    Deed,
    Ending,
    Entry,
    Execution,
    Incoming,
    Outcome,
    RunCode,
    Status,
    Step,
    ThreadId,
    Turn,
    Usage,
    now,
)

DAYS = 30
SLACK, DISCORD = "slack:T04QK7V2M", "discord:81"
PLACES = (
    *(f"{SLACK}:{channel}" for channel in ("C07REVENUE", "C07SUPPORT", "C05PRODUCT", "C02FINANCE")),
    *(f"{DISCORD}:{channel}" for channel in ("4471", "4480")),
    "web",
    "terminal",
)
WEIGHTS = (24, 20, 14, 9, 12, 6, 12, 3)
PEOPLE = (
    "Grace Hopper",
    "Katherine Johnson",
    "Alan Turing",
    "Barbara Liskov",
    "Edsger Dijkstra",
    "Margaret Hamilton",
    "Linus Pauling",
    "Radia Perlman",
)
EAGER = (20, 17, 14, 12, 10, 9, 6, 4)
"""How much each of them asks."""
MODELS = {"gpt-6-sol": 6.0, "gpt-6-luna": 1.1, "qwen-3": 0.0}
"""US dollars per million tokens."""
LIMIT = "The budget of steps is used up, and there is no answer yet. Ask for a smaller part of it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Something that is asked again and again."""

    question: str
    slip: str
    """Code that fails."""
    error: str
    message: str
    code: str
    """The code that works."""
    output: str
    answer: str


TOPICS = (
    Topic(
        question="Which region sold most in {month}, and by how much?",
        slip='orders = pd.read_csv("orders.csv")\norders.groupby("regoin")["price"].sum()',
        error="KeyError",
        message="'regoin'",
        code='orders.groupby("region")["price"].sum().sort_values(ascending=False)',
        output="region\nsouth    48231.50\nwest     41877.25\nnorth    39004.00",
        answer="The **south** sold most: 48,231.50, which is 6,354.25 more than the west.",
    ),
    Topic(
        question="How long do customers wait for a first reply, by product area?",
        slip='tickets = pd.read_csv("tickets.csv")\n(tickets["first_reply"] - tickets["opened"]).median()',
        error="TypeError",
        message="unsupported operand type(s) for -: 'str' and 'str'",
        code='wait = pd.to_datetime(tickets["first_reply"]) - pd.to_datetime(tickets["opened"])\nwait.groupby(tickets["area"]).median()',
        output="area\nbilling    0 days 05:12:00\nlogin      0 days 01:40:00\nreports    0 days 09:27:00",
        answer="Longest in **reports**: 9 h 27 min in the median; login is answered within 1 h 40 min.",
    ),
    Topic(
        question="Fit a trend to the sign-ups of {month} and tell me when we reach 10,000",
        slip='import statsmodels.api as sm\nsm.OLS(signups["count"], signups.index).fit()',
        error="ModuleNotFoundError",
        message="No module named 'statsmodels'",
        code='slope, start = np.polyfit(signups.index, signups["total"], 1)\nprint(round((10_000 - start) / slope))',
        output="47",
        answer="At the present pace in **47 days**.",
    ),
    Topic(
        question="Reconcile the invoices of {month} with the bank statement",
        slip='bank = pd.read_csv("statement.csv")',
        error="pandas.errors.ParserError",
        message="Error tokenizing data. C error: Expected 6 fields in line 214, saw 7",
        code='bank = pd.read_csv("statement.csv", sep=";", decimal=",")\nlen(invoices.merge(bank, on="reference", how="left").query("paid.isna()"))',
        output="9",
        answer="All but **9 invoices** are paid; together they come to 12,480.00.",
    ),
    Topic(
        question="Draw weekly active users since the release",
        slip='weekly = events.resample("W")["user"].nunique()',
        error="TypeError",
        message="Only valid with DatetimeIndex, TimedeltaIndex or PeriodIndex, but got an instance of 'RangeIndex'",
        code='weekly = events.set_index("at").resample("W")["user"].nunique()\nweekly.plot()',
        output="first week: 1204, last week: 1893",
        answer="They grew from 1,204 to **1,893** a week.",
    ),
    Topic(
        question="What does a customer of plan {plan} bring in over three years?",
        slip='value = margin / churn["{plan}"]',
        error="ZeroDivisionError",
        message="float division by zero",
        code='value = margin * (1 - (1 - rate) ** 36) / rate\nprint(f"{value:,.0f}")',
        output="2,318",
        answer="About **2,318** at the churn of the last half-year.",
    ),
    Topic(
        question="Find duplicates in the customer list I attached",
        slip='customers = pd.read_excel("customers.xlsx")',
        error="FileNotFoundError",
        message="[Errno 2] No such file or directory: 'customers.xlsx'",
        code='customers = pd.read_csv("customers.csv")\ncustomers.duplicated(["email"], keep=False).sum()',
        output="38",
        answer="**38 rows** share an address with another one; duplicates.csv lists them.",
    ),
    Topic(
        question="How likely is it that variant B is better, from these numbers?",
        slip='rate = int("4,812") / visits',
        error="ValueError",
        message="invalid literal for int() with base 10: '4,812'",
        code="wins = rng.beta(1 + b, 1 + nb - b, 100_000) > rng.beta(1 + a, 1 + na - a, 100_000)\nprint(wins.mean())",
        output="0.961",
        answer="**96 %**, if nothing else differed between the two weeks.",
    ),
)


class Team:
    """Makes up the runs."""

    def __init__(self) -> None:
        self.chance, self.threads, self.lately = random.Random(11), dict[str, str](), list[Topic]()

    def turns(self) -> list[Turn]:
        """All runs, oldest first; fewer at weekends."""
        today, starts = now(), list[datetime]()
        for day in range(DAYS - 1, -1, -1):
            date = today - timedelta(days=day)
            count = self.chance.randint(10, 26) if date.weekday() < 5 else self.chance.randint(1, 5)
            starts += [date.replace(hour=7, minute=0) + timedelta(minutes=self.chance.triangular(0, 660, 210)) for _ in range(count)]
        return [self.turn(number, at) for number, at in enumerate(sorted(at for at in starts if at < today))]

    def turn(self, number: int, at: datetime) -> Turn:
        """One run, and its conversation, which may be that of an earlier one."""
        topic, who = self.chance.choice([each for each in TOPICS if each not in self.lately]), self.chance.choices(PEOPLE, EAGER)[0]
        self.lately = [*self.lately, topic][-4:]
        place = self.chance.choices(PLACES, WEIGHTS)[0]
        author = Author(id=f"U{PEOPLE.index(who) + 41}" if ":" in place else who.partition(" ")[0].lower(), name=who)
        thread = ThreadId(f"{place}:{number:04}")
        if (before := self.threads.get(f"{place} {who}")) and self.chance.random() < 0.4:
            thread = ThreadId(before)
        self.threads[f"{place} {who}"] = thread
        text = topic.question.format(month=self.chance.choice(("September", "October", "November")), plan=self.chance.choice("SML"))
        incoming = Incoming(id=f"m{number}", thread=thread, author=author, text=text, at=at)
        ending = self.chance.choices(list(Ending)[:4], [93, 3, 2, 2])[0]
        steps = self.steps(topic, ending)
        spent = sum(step.completion.seconds + (step.execution.seconds if step.execution else 0.0) for step in steps)
        said = {Ending.ANSWERED: topic.answer, Ending.LIMIT: LIMIT, Ending.STOPPED: f"{who} stopped this."}
        limit = "steps" if ending is Ending.LIMIT else ""
        outcome = Outcome(ending=ending, text=said.get(ending, "The model could not be reached. Ask again."), limit=limit)
        return Turn(id=records.turn_id(incoming), incoming=incoming, steps=steps, outcome=outcome, started=at, ended=at + timedelta(seconds=spent))

    def steps(self, topic: Topic, ending: Ending) -> tuple[Step, ...]:
        """What a run took: a slip or none, and what worked where it was answered."""
        slips = self.chance.choices((0, 1, 2, 3), (62, 27, 8, 3))[0] + (4 if ending is Ending.LIMIT else 0)
        model = self.chance.choices(list(MODELS), (55, 35, 10))[0]
        failed = CodeError(type=topic.error, message=topic.message, line=topic.slip.count("\n") + 1)
        fails = Execution(status=Status.ERROR, error=failed, seconds=self.chance.uniform(0.05, 1.5))
        made = [self.step(index, model, topic.slip, fails) for index in range(slips)]
        if ending is Ending.ANSWERED:
            works = Execution(status=Status.OK, output=topic.output, seconds=self.chance.expovariate(0.5))
            made.append(self.step(slips, model, topic.code, works))
            made.append(replace(self.step(slips + 1, model, "", works), action=Answer(text=topic.answer), execution=None))
        return tuple(made)

    def step(self, index: int, model: str, code: str, run: Execution) -> Step:
        """One step of the model's."""
        tokens, written = self.chance.randint(900, 5200) + 700 * index, self.chance.randint(60, 420)
        usage = Usage(input_tokens=tokens, output_tokens=written, cost=(tokens + 4 * written) * MODELS[model] / 1e6)
        completion = Completion(text="", usage=usage, model=model, seconds=self.chance.uniform(1.5, 9))
        thought = "The names of the columns differ from what I expected." if index else "I read the file first."
        return Step(index=index, completion=completion, action=RunCode(thought=thought, code=code), execution=run)


def recorded(turn: Turn) -> list[Entry]:
    """What the audit has of a run, as it was written while that went on."""
    assert turn.ended is not None
    entries = turn_entries(turn)
    pause = (turn.ended - turn.started) / (len(entries) - 1)
    return [replace(entry, at=turn.started + pause * number) for number, entry in enumerate(entries)]


def deeds(turns: Sequence[Turn]) -> list[Entry]:
    """What people did besides asking."""
    looked, held, shared = turns[-6], turns[-40], turns[-12]
    auditor = Author(id="radia", name="Radia Perlman")

    def entry(kind: Deed, minutes: float, author: Author, **what: object) -> Entry:
        return Entry(kind=kind, author=author, at=now() - timedelta(minutes=minutes), **what)  # type: ignore[arg-type]

    grace = Author(id="U41", name="Grace Hopper")
    return [
        entry(Deed.SETTINGS, 340, Author(id="serve", name="serve"), changes=(Change(name="concurrency", before="4", after="8"),), subject="serve"),
        entry(Deed.HELD, 210, auditor, thread=held.incoming.thread, text="on hold"),
        entry(Deed.STOPPED, 160, grace, thread=shared.incoming.thread, turn=shared.id),
        entry(Deed.FORKED, 130, grace, thread=shared.incoming.thread, turn=shared.id, subject="web:n3Zr"),
        entry(Deed.REFUSED, 90, Author(id="U77", name="Mallory"), text="This person may not use the bot here.", subject="slack"),
        entry(Deed.VIEWED, 41, auditor, thread=looked.incoming.thread, turn=looked.id, subject="GET /t/{thread}"),
        entry(Deed.EXPORTED, 12, auditor, subject="csv", text="platform=slack&since=2026-11-01"),
    ]


async def fill(store: MongoStore) -> Sequence[Turn]:
    """Put the month into a database: conversations, runs, and the chain."""
    turns = Team().turns()
    for number, turn in enumerate(turns):
        asked = turn.incoming
        assert turn.outcome is not None
        names = [queries.version(turn.id, 1, step) for step in turn.steps]
        steps = [documents.document(step) | {"_id": name, "turn": turn.id} for name, step in zip(names, turn.steps, strict=True)]
        await store._turns.insert_one(document(turn) | {"number": number, "steps": names})
        if steps:
            await store._steps.insert_many(steps)
        named = {"title": asked.text, "created": turn.started, "participants": [asked.author.name], "people": [asked.author.id]}
        changed = {"updated": turn.ended, "ending": turn.outcome.ending.value}
        await store._threads.update_one({"_id": asked.thread}, {"$setOnInsert": named, "$set": changed}, upsert=True)
    for start in range(0, len(turns), 50):
        await store.append([entry for turn in turns[start : start + 50] for entry in recorded(turn)])
    await store.append(deeds(turns))
    return turns
