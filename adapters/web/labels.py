"""How the lists of the audit put things: times, places, records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from adapters.render import cost_text, count, one_line, seconds_text
from adapters.web.pages import PLATFORMS
from adapters.web.rooms import address
from codeact_bot.types import By, Deed, Entry, ThreadId, now

ASKED_FOR = {"runcode": "runs code", "answer": "answers", "malformed": "no code that could run"}
"""What a model wanted with a reply, by the status of its record."""

SEEN = {
    "GET /audit": "the list of runs",
    "GET /audit/totals": "totals",
    "GET /audit/chain": "the list of records",
    "GET /t/{thread}": "a conversation",
    "GET /t/{thread}/events": "a conversation, as it went on",
}
"""Pages that somebody looked at, by the subject of the record."""


def moment(at: datetime) -> str:
    """`25 Nov 15:21`, and the year where it is another one than today's."""
    return at.strftime("%-d %b %H:%M" if at.year == now().year else "%-d %b %Y %H:%M")


def place(channel: str) -> str:
    """`Slack C07ABC`: the platform, and the last part of where it was."""
    platform, _, rest = channel.partition(":")
    return one_line(f"{PLATFORMS.get(platform, platform)} {rest.rpartition(':')[2]}", 28)


def detail_of(entry: Entry) -> str:
    """What a record says, on one line; empty where it says nothing."""
    spent = [count(entry.usage.tokens, "token")] if entry.usage.tokens else []
    spent += [cost_text(entry.usage.cost, estimated=entry.usage.estimated)] if entry.usage.cost else []
    spent += [seconds_text(entry.seconds)] if entry.seconds else []
    status = ASKED_FOR.get(entry.status, entry.status) if entry.kind is Deed.REQUESTED else entry.status
    changes = [f"{change.name}: {change.before or '–'} → {change.after or '–'}" for change in entry.changes]
    subject = "" if entry.kind is Deed.ASKED else SEEN.get(entry.subject, entry.subject)
    told = [entry.model, status, entry.error, subject, *spent, *(changes or [entry.text])]
    return one_line(" · ".join(filter(None, told)), 200)


def link(thread: ThreadId, turn: str, ended: bool = True) -> str:
    """Return where a turn's whole transcript is; that of one which goes on is at its conversation's end."""
    return f"{address(thread)}?{urlencode({'at': turn})}#turn-{turn}" if turn and ended else address(thread)


def narrowed(given: Mapping[str, str], by: By, name: str) -> str:
    """Return where the runs are that a line of totals adds up; empty where no filter finds just those."""
    match by:
        case By.DAY:
            further = {"since": name, "until": name}
        case By.PERSON:
            further = {"person": name.rpartition(" (")[2].removesuffix(")")}
        case _:
            further = {str(by): name}
    return f"/audit?{urlencode({**given, **further})}" if name else ""
