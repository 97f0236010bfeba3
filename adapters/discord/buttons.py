"""Buttons that carry the turn they are for, and so work after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import discord

from adapters.common.approvals import APPROVE, DECLINE
from adapters.common.rebuilds import LABEL
from codeact_bot.types import Answer, Kind, Turn

MARK = "codeact"
DIGEST = 40
"""Characters of a SHA-256 that a button carries: Discord takes 100 in all."""


class Deed(StrEnum):
    """What a button does."""

    STOP = "stop"
    RETRY = "retry"
    CODE = "code"
    NOTEBOOK = "notebook"
    FORK = "fork"
    REBUILD = "rebuild"
    """Warns, and offers the next."""
    AGAIN = "again"
    """Runs the recorded code again."""
    APPROVE = "approve"
    """Lets the code run that the turn waits to run."""
    DECLINE = "decline"
    EDITED = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """What a pressed button says."""

    deed: Deed
    subject: str
    """A turn's id; for code that waits for a yes `TURN/` and the beginning of its SHA-256, for an edited question `CHANNEL/MESSAGE`."""

    @classmethod
    def parse(cls, custom_id: str) -> Press | None:
        """Read a button's custom id; None for one that is not ours."""
        mark, _, rest = custom_id.partition(":")
        deed, _, subject = rest.partition(":")
        return cls(deed=Deed(deed), subject=subject) if mark == MARK and deed in list(Deed) and subject else None


def while_running(turn: Turn) -> discord.ui.View:
    """Return the buttons of a running turn."""
    return _view(_button("Stop", Deed.STOP, turn.id, discord.ButtonStyle.danger))


def when_done(turn: Turn, *, asks: bool = True) -> discord.ui.View:
    """Return the buttons of an ended turn; `asks` where its code still waits for an approval, if it ever did."""
    buttons = []
    if asks and turn.outcome is not None and turn.outcome.proposal:
        named = f"{turn.id}/{turn.outcome.proposal[:DIGEST]}"
        buttons.append(_button(APPROVE, Deed.APPROVE, named, discord.ButtonStyle.success))
        buttons.append(_button(DECLINE, Deed.DECLINE, named, discord.ButtonStyle.danger))
    buttons += [_button("Retry", Deed.RETRY, turn.id)] if turn.incoming.kind is Kind.QUESTION else []
    if turn.outcome is not None and turn.outcome.rebuild:
        buttons.append(_button(LABEL, Deed.REBUILD, turn.id))
    if any(not isinstance(step.action, Answer) for step in turn.steps):
        buttons.append(_button("Show code", Deed.CODE, turn.id))
    buttons.append(_button("Download notebook", Deed.NOTEBOOK, turn.id))
    buttons.append(_button("Fork from here", Deed.FORK, turn.id))
    return _view(*buttons)


def for_warned(turn: Turn) -> discord.ui.View:
    """Return the button that runs the recorded code again, below the warning."""
    return _view(_button("Confirm", Deed.AGAIN, turn.id, discord.ButtonStyle.danger))


def for_edited(channel: int, message: int) -> discord.ui.View:
    """Return the button that runs an edited question again."""
    return _view(_button("Run the edited question", Deed.EDITED, f"{channel}/{message}", discord.ButtonStyle.primary))


def turn_of(message: discord.Message) -> str:
    """Return the id of the turn whose buttons a message carries; empty where it carries none."""
    for row in message.components:
        for item in row.children if isinstance(row, discord.ActionRow) else ():
            press = Press.parse(getattr(item, "custom_id", None) or "")
            if press is not None and press.deed is not Deed.EDITED:
                return press.subject.partition("/")[0]
    return ""


def _button(label: str, deed: Deed, subject: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(label=label, style=style, custom_id=f"{MARK}:{deed}:{subject}")


def _view(*buttons: discord.ui.Button[discord.ui.View]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(button)
    view.stop()  # discord.py would keep each view for ever; presses are read from their custom ids instead
    return view
