"""What a process does beside answering: removing what is kept long enough, and recording with which settings it runs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from codeact_bot.ports import Keeping, Ledger
from codeact_bot.redaction import Redactor
from codeact_bot.settings import Settings, variable
from codeact_bot.types import Change, Deed, Entry, Erased, Retention, Trail, now

BATCH = 100
"""Conversations that are made to be found at once."""


async def retain(store: Keeping, retention: Retention) -> Erased:
    """Remove the questions that are kept long enough, and the bytes of removed files that nobody refers to any more; let all be found."""
    found = Erased()
    for platform, days in retention.platforms.items():
        if days > 0:
            found += await store.expire(now() - timedelta(days=days), platform=platform)
    if retention.days > 0:
        found += await store.expire(now() - timedelta(days=retention.days), other_than=tuple(retention.platforms))
    await store.sweep()
    while await store.find_words(BATCH) == BATCH:
        pass
    return found


async def record_settings(ledger: Ledger, settings: Settings, command: str) -> None:
    """Record what settings differ from those with which this command ran before on this machine; of secrets, only whether they are set."""
    subject = f"{command} on {socket.gethostname()}"
    last = (await ledger.records(Trail(kind=Deed.SETTINGS, subject=subject, limit=1))).records
    before: dict[str, str] = json.loads(last[0].entry.text) if last and last[0].entry.text else {}
    redact = Redactor(settings.secrets())
    after = {name: redact.text(text) for name, text in _texts(settings)}
    names = sorted(name for name in before.keys() | after.keys() if before.get(name, "") != after.get(name, ""))
    if names:
        changes = tuple(Change(name=name, before=before.get(name, ""), after=after.get(name, "")) for name in names)
        await ledger.append([Entry(kind=Deed.SETTINGS, subject=subject, text=json.dumps(after), changes=changes)])


def _texts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return the settings that are not at their defaults, by their variables' names."""
    defaults = {name: each.get_default(call_default_factory=True) for name, each in Settings.model_fields.items()}
    for name, default in defaults.items():
        value = getattr(settings, name)
        if is_dataclass(value) and not isinstance(value, type):
            yield from ((f"{variable((name,))}__{part.name.upper()}", _text(found)) for part, found in _differing(value, default))
        elif value != default:
            yield variable((name,)), _text(value)


def _differing(value: Any, default: Any) -> Iterator[tuple[Any, Any]]:
    return ((part, getattr(value, part.name)) for part in fields(value) if getattr(value, part.name) != getattr(default, part.name))


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    return str(value)
