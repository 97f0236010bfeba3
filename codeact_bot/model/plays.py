"""What the demo model does at each stop of the tour. Its answers are put together from what its code printed."""

from __future__ import annotations

import ast
import re

from codeact_bot.model.scene import Scene, Seen

CSV = "support_tickets.csv"

_LOAN = """\
principal, rate, years = 250_000, 0.039, 25
months = years * 12
monthly = rate / 12
payment = principal * monthly / (1 - (1 + monthly) ** -months)
interest = payment * months - principal
"""
_SHOW_LOAN = """\
print(f"monthly payment: {payment:,.2f}")
print(f"interest in all: {interest:,.2f}")
"""
_MORE = """\
balance, paid, count = principal, 0.0, 0
while balance > 0:
    due = balance * monthly
    part = min(payment + 200, balance + due)
    balance, paid, count = balance + due - part, paid + due, count + 1
print(f"paid off after: {count // 12} years and {count % 12} months")
print(f"sooner by: {months - count} months")
print(f"interest saved: {interest - paid:,.2f}")
"""
_LOAD = f"""\
import pandas as pd

tickets = pd.read_csv("{CSV}", parse_dates=["week"])
"""
_LOAD_PLAIN = f"""\
import csv

with open("{CSV}", newline="") as file:
    tickets = list(csv.DictReader(file))
"""
_GUESS = """tickets.groupby("area")["tickets"].sum().sort_values(ascending=False)\n"""
_GUESS_PLAIN = """sorted({row["area"] for row in tickets})\n"""
_SUMMARY = """\
summary = (
    tickets.groupby("{area}")
    .agg(tickets=("{opened}", "sum"), hours_to_first_reply=("{hours}", "median"))
    .sort_values("tickets", ascending=False)
)
print(f"most tickets: {{summary.index[0]}}, {{summary['tickets'].iloc[0]:,}} of {{summary['tickets'].sum():,}}")
slowest = summary["hours_to_first_reply"].idxmax()
print(f"slowest first reply: {{slowest}}, {{summary['hours_to_first_reply'].max():.1f}} hours")
"""
_SUMMARY_PLAIN = """\
from statistics import median

summary = {{}}
for area in {{row["{area}"] for row in tickets}}:
    rows = [row for row in tickets if row["{area}"] == area]
    summary[area] = (sum(int(row["{opened}"]) for row in rows), median(float(row["{hours}"]) for row in rows))
top = max(summary, key=lambda area: summary[area][0])
slowest = max(summary, key=lambda area: summary[area][1])
print(f"most tickets: {{top}}, {{summary[top][0]:,}} of {{sum(count for count, _ in summary.values()):,}}")
print(f"slowest first reply: {{slowest}}, {{summary[slowest][1]:.1f}} hours")
for area, (count, hours) in sorted(summary.items(), key=lambda item: -item[1][0]):
    print(f"{{area:<12}} {{count:>6,}} tickets {{hours:>6.1f}} hours")
"""
_COLUMNS = {"area": "product_area", "opened": "opened", "hours": "first_reply_hours"}
_PLOT = """\
import matplotlib.dates
import matplotlib.pyplot as plt

weekly = tickets.pivot_table(index="week", columns="product_area", values="opened", aggfunc="sum")
growth = ((weekly.tail(4).mean() / weekly.head(4).mean() - 1) * 100).sort_values()
fig, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
for area, colour in zip(growth.index, ["#8ab17d", "#e9c46a", "#2a9d8f", "#d1495b"]):
    ax.plot(weekly.index, weekly[area], color=colour, linewidth=3 if area == growth.index[-1] else 1.8)
    end = (weekly.index[-1], weekly[area].iloc[-1])
    ax.annotate(area, end, (8, 0), textcoords="offset points", va="center", color=colour, weight="bold")
ax.set_title(f"{growth.index[-1]}: {growth.iloc[-1]:+.0f} % tickets since {weekly.index[0]:%B}", loc="left", weight="bold", fontsize=14)
ax.set_ylabel("tickets opened per week")
ax.set_ylim(bottom=0)
ax.grid(axis="y", alpha=0.25)
ax.spines[["top", "right"]].set_visible(False)
ax.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(ax.xaxis.get_major_locator()))
print(f"grew most: {growth.index[-1]}, {growth.iloc[-1]:+.0f} %")
print(f"grew least: {growth.index[0]}, {growth.iloc[0]:+.0f} %")
"""
_BARS_ROWS = {
    False: 'rows = [(str(week.date()), int(count)) for week, count in tickets.groupby("week")["opened"].sum().items()]\n',
    True: 'weeks = sorted({row["week"] for row in tickets})\n'
    'rows = [(week, sum(int(row["opened"]) for row in tickets if row["week"] == week)) for week in weeks]\n',
}
_BARS = """\
for week, count in rows:
    print(f"{week} {'█' * round(count / 4)} {count}")
first, last = (sum(count for _, count in part) for part in (rows[:4], rows[-4:]))
print(f"all areas together: {100 * (last / first - 1):+.0f} %")
"""
_SAVE = """\
summary.to_csv("ticket_summary.csv")
print(f"areas written: {len(summary)}")
"""
_SAVE_PLAIN = """\
import csv

with open("ticket_summary.csv", "w", newline="") as file:
    csv.writer(file).writerows([("area", "tickets", "hours_to_first_reply"), *((area, *figures) for area, figures in summary.items())])
print(f"areas written: {len(summary)}")
"""


def act(thought: str, code: str) -> str:
    """Write a reply that runs code."""
    return f"{thought}\n\n```python\n{code.rstrip()}\n```\n"


def stuck(seen: Seen) -> str:
    """Answer where the script knows no further."""
    return f"That did not work here: `{seen.error}`\n\nA real model would look into it now. This is only the scripted demo, so I stop."


def loan(scene: Scene) -> str:
    """Compute something."""
    if not scene.seen:
        return act("I compute the monthly payment with the annuity formula.", _LOAN + _SHOW_LOAN)
    if scene.last.failed:
        return stuck(scene.last)
    payment, interest = scene.last.figure("monthly payment"), scene.last.figure("interest in all")
    return f"You would pay **{payment} a month**, and {interest} of interest over the 25 years."


def more(scene: Scene) -> str:
    """Use the variables of an earlier message."""
    if not scene.seen:
        return act("`principal`, `monthly` and `payment` are still there from before; I go through it month by month.", _MORE)
    last = scene.last
    if (name := last.lacks("name")) and len(scene.seen) == 1:
        return act(f"`{name}` is not defined in this sandbox (any more), so I define the loan first.", _LOAN + _MORE)
    if last.failed:
        return stuck(last)
    after, sooner, saved = (last.figure(label) for label in ("paid off after", "sooner by", "interest saved"))
    return f"With 200 more each month the loan is paid off after {after}, **{sooner} sooner**, and you save **{saved}** of interest."


def areas(scene: Scene) -> str:
    """Read an uploaded file, run into a real error, look, and mend it."""
    plain = scene.without("pandas")
    load, guess, summary = (_LOAD_PLAIN, _GUESS_PLAIN, _SUMMARY_PLAIN) if plain else (_LOAD, _GUESS, _SUMMARY + "summary\n")
    if not scene.seen:
        return act("I read the file and add up the tickets of each area.", load + guess)
    last = scene.last
    if last.lacks("module") == "pandas":
        return act("pandas is not installed in this sandbox; the standard library can read the file too.", load + guess)
    if missing := re.search(r"KeyError: '?(\w+)'?", last.error):
        look = "print(list(tickets[0]))" if plain else "print(list(tickets.columns))"
        return act(f"There is no column `{missing[1]}`: I guessed its name. I look at what is there before I go on.", look)
    if last.failed:
        return stuck(last) if CSV not in last.text else _without_file()
    if columns := _columns(last):
        named = {key: next((column for column in columns if key in column), "") for key in _COLUMNS}
        names = ", ".join(f"`{column}`" for column in named.values())
        return act(f"The columns that I need are called {names}. Once more, with those.", summary.format(**named))
    most, slowest = last.figure("most tickets"), last.figure("slowest first reply")
    return f"Most tickets: **{most}**. Slowest first reply (median): **{slowest}**. The table above has all areas."


def plot(scene: Scene) -> str:
    """Draw a figure, or bars of text where there is no matplotlib."""
    plain = scene.without("pandas")
    load = _LOAD_PLAIN if plain else _LOAD
    wanted = _BARS_ROWS[plain] + _BARS if plain or scene.without("matplotlib") else _PLOT
    if not scene.seen:
        return act("I draw the table that is already in memory.", wanted)
    last = scene.last
    if module := last.lacks("module"):
        return act(f"{module} is not installed in this sandbox, so I draw with characters.", (load if module == "pandas" else "") + wanted)
    if (name := last.lacks("name")) and len(scene.seen) <= 2:
        return act(f"`{name}` is not defined in this sandbox (any more), so I read the file again.", load + wanted)
    if last.failed:
        return stuck(last) if CSV not in last.text else _without_file()
    if wanted is not _PLOT:
        return f"Comparing the last four weeks with the first four, the tickets of all areas: **{last.figure('all areas together')}**."
    most, least = last.figure("grew most"), last.figure("grew least")
    return f"Comparing the last four weeks with the first four: **{most}**; at the other end {least}."


def save(scene: Scene) -> str:
    """Make a file that the person gets."""
    plain = scene.without("pandas")
    wanted = _SAVE_PLAIN if plain else _SAVE
    if not scene.seen:
        return act("I write the summary into the working folder.", wanted)
    last = scene.last
    if (name := last.lacks("name") or last.lacks("module")) and len(scene.seen) <= 2:
        load, summary = (_LOAD_PLAIN, _SUMMARY_PLAIN) if plain else (_LOAD, _SUMMARY)
        again = load + summary.format(**_COLUMNS) + wanted
        return act(f"`{name}` is not there in this sandbox (any more), so I compute it again.", again)
    if last.failed:
        return stuck(last) if CSV not in last.text else _without_file()
    return f"`ticket_summary.csv` is ready: one line for each of the {last.figure('areas written')} areas."


def typed(scene: Scene) -> str:
    """Run what the person typed, if it is Python."""
    if not scene.seen:
        return act("That is Python, so I run it as it stands.", scene.typed_code)
    last = scene.last
    if last.failed:
        return f"It ended with `{last.error}`"
    shown = [f"{label}\n\n```text\n{text}\n```" for tag, label in _SHOWN.items() if (text := last.section(tag))]
    return "\n\n".join(shown) or "It ran, and showed nothing."


_SHOWN = {"output": "It printed:", "value": "Its value is:", "table": "Its value is a table:"}


def _columns(seen: Seen) -> list[str]:
    """Return the names of the columns where they are what was printed."""
    try:
        printed = ast.literal_eval(seen.output.strip())
    except (SyntaxError, ValueError):
        return []
    return [str(name) for name in printed] if isinstance(printed, list) else []


def _without_file() -> str:
    return f"`{CSV}` is not in the working folder. Attach it, or play the whole tour, which brings it along: `codeact-bot demo`."
