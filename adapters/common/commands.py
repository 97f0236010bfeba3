"""The words of /codeact, and what it answers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.render import one_line
from codeact_bot.types import Ending, Fork, Incoming, Turn

NAMES = ("ask", "stop", "history", "export", "new", "rewind", "fork", "schedule", "allow", "help")
KINDS = ("md", "json", "ipynb", "jsonl")
STOPS = {"stop", "halt", "cancel", "abort", "stop it", "stop that", "please stop", "stop please"}
MARKS = {Ending.ANSWERED: "✓", Ending.LIMIT: "■", Ending.STOPPED: "■", Ending.FAILED: "✗", Ending.MISSED: "■", Ending.APPROVAL: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What somebody typed after `/codeact`."""

    name: str
    """One of NAMES, or empty for a single word that is none of them but nearly one."""
    argument: str = ""
    """The rest; with an empty name, the name that was probably meant."""


def parse(text: str) -> Command:
    """Read a command; what begins with none is a question."""
    text = text.strip()
    if not text:
        return Command(name="help")
    word, _, rest = text.partition(" ")
    if word.lower() in NAMES:
        return Command(name=word.lower(), argument=rest.strip())
    near = difflib.get_close_matches(word.lower(), NAMES, n=1, cutoff=0.75)
    if near and not rest:
        return Command(name="", argument=near[0])
    return Command(name="ask", argument=text)


def did_you_mean(command: Command) -> str:
    """Return the sentence for a command that is nearly one."""
    return f"Did you mean `/codeact {command.argument}`? To ask this as a question, use `/codeact ask …`."


def is_stop(text: str) -> bool:
    """Whether a message is nothing but the wish to stop."""
    return text.strip().strip(".!…").strip().lower() in STOPS


def stopping(incoming: Incoming) -> str:
    """Say which question is being stopped: several of a person may run in a channel."""
    return f"Stopping “{one_line(incoming.text, 60)}”."


def history_text(turns: Sequence[Turn], tame: Callable[[str], str]) -> str:
    """List questions with their answers' beginnings, as Markdown; `tame` defuses what people and models wrote."""
    if not turns:
        return "Nothing was found."
    lines = []
    for turn in turns:
        outcome = turn.outcome
        mark = MARKS[outcome.ending] if outcome else "…"
        answer = f" → {tame(one_line(outcome.text, 100))}" if outcome and outcome.text else ""
        who, question = tame(one_line(turn.incoming.author.name, 30)), tame(one_line(turn.incoming.text, 100))
        lines.append(f"- {mark} {turn.incoming.at:%Y-%m-%d %H:%M} UTC, {who}: {question}{answer}")
    return "\n".join(lines)


def help_text(mention: str) -> str:
    """Say what the bot does and how, as Markdown."""
    return f"""\
**I answer questions by writing and running Python**, in a sandbox that belongs to this conversation.
I show the code, mend its errors, and post tables, plots and files.

- **Ask**: {mention} and your question in a channel, a direct message, or `/codeact ask …`. Attach files to work with them.
- **Go on**: write in the thread; variables and files are still there. What you write while I work is answered next.
- **Stop**: the button, the word “stop”, or `/codeact stop`. Deleting the question stops it, too.
- `/codeact history [words]` what was asked · `/codeact export [md|json|ipynb|jsonl]` this conversation as a file
- `/codeact new` forget this conversation and begin another · `/codeact rewind [N]` go on as if the last N questions had not been asked
- `/codeact schedule every weekday at 9: …` ask by the clock; in a thread, mention me with the same words · `/codeact schedule list`
- **Fork from here** below an answer, or `/codeact fork [N]` after question N: go on from there in a thread of its own; this one stays
- `/codeact allow @person` let somebody else stop and retry

The code cannot reach the network or anything outside its sandbox. Everything asked, run and answered is kept, for you and for audits."""


def rewound(argument: str, asked: int) -> int | str:
    """Return how many of the turns asked so far stay after `/codeact rewind ARGUMENT`; a sentence where that cannot be."""
    steps = int(argument) if argument.isdigit() and len(argument) < 6 else 0 if argument else 1
    if steps < 1:
        return "How many questions back? `/codeact rewind 2` goes on as if the last two had not been asked."
    if steps > asked:
        return f"This conversation has {asked} answered {'question' if asked == 1 else 'questions'}; I can go back that far at most."
    return asked - steps


def went_back(fork: Fork) -> str:
    """Say where a conversation goes on after a rewind."""
    if not fork.turns:
        return "The next message begins anew, without variables and files. The conversation so far is kept in the history."
    return f"The next message goes on after question {fork.turns}, {brought(fork)} The conversation so far is kept in the history."


def brought(fork: Fork) -> str:
    """Say what a fork has of the conversation before it."""
    if fork.whole:
        return "with the variables and files of then."
    return "with its history alone: the variables and files of then are no longer kept."
