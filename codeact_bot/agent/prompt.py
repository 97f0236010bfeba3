"""The system prompt, which is package data rendered strictly, and the messages around a person's question."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from string import Template

from codeact_bot.agent.observations import quoted
from codeact_bot.types import Incoming, Limits

_ONLINE = "The sandbox can reach the network."
_OFFLINE = "There is no network: nothing can be downloaded or installed."
_APPROVED = "\nA person has to approve each block before it is run: say in the sentence before it what it does and why.\n"


def system_prompt(
    *,
    today: date,
    limits: Limits,
    network: bool = False,
    packages: str = "NumPy, pandas, matplotlib",
    approve: bool = False,
    name: str = "codeact-bot",
    template: str = "",
) -> str:
    """Render the system prompt, or `template` in its place. Raises KeyError for a variable that is not known."""
    text = template or files("codeact_bot.agent").joinpath("system.md").read_text(encoding="utf-8")
    return Template(text).substitute(
        name=name,
        date=today.isoformat(),
        steps=limits.steps,
        step_seconds=f"{limits.step_seconds:g}",
        turn_seconds=f"{limits.turn_seconds:g}",
        network=_ONLINE if network else _OFFLINE,
        packages=packages or "the standard library",
        approvals=_APPROVED if approve else "",
    )


def question(incoming: Incoming) -> str:
    """Phrase a person's message for the model: who wrote it, the text, and the files that are in the working folder now."""
    who = " ".join(incoming.author.name.split())
    if incoming.approval is not None:
        return f"({who} {'approved' if incoming.approval.yes else 'declined to have'} the code above{'.' if incoming.approval.yes else ' run.'})"
    by_clock = f"(Sent by {who}'s schedule, {incoming.fire.said}: nobody may be there to answer a question back.)" if incoming.fire else ""
    lines = [by_clock or (f"{who} writes:" if who else ""), incoming.text.strip() or "(no text)"]
    if incoming.files:
        names = ", ".join(f"{quoted(file.name)} ({file.size:,} bytes)" for file in incoming.files)
        lines.append(f"Attached, in the working folder: {names}.")
    return "\n\n".join(line for line in lines if line)
