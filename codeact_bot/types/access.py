"""Who may do what, and by which secrets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from codeact_bot.types.ids import ThreadId
from codeact_bot.types.message import Author


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use the bot on chat platforms. A subject is `platform:kind:id`, such as `slack:user:U1` or `discord:role:7`.

    Kinds are `workspace` (Slack), `guild` (Discord), `channel`, `role` (Discord) and `user`.
    """

    allow: tuple[str, ...] = ()
    """Subjects that may ask; empty: everyone who can reach the bot."""
    deny: tuple[str, ...] = ()
    """Subjects that may not, whatever `allow` says."""
    admins: tuple[str, ...] = ()
    """Subjects that may always ask, and stop and retry everyone's questions."""

    def is_admin(self, subjects: Collection[str]) -> bool:
        """Whether somebody who is all these subjects is an admin."""
        return not set(subjects).isdisjoint(self.admins)

    def admits(self, subjects: Collection[str]) -> bool:
        """Whether somebody who is all these subjects may ask: admins always, others where nothing denies and something, or nothing, allows it."""
        if self.is_admin(subjects):
            return True
        return set(subjects).isdisjoint(self.deny) and (not self.allow or not set(subjects).isdisjoint(self.allow))


class Role(StrEnum):
    """What somebody may see and do in the web chat and by its API."""

    MEMBER = "member"
    """Their own conversations, and those they take part in."""
    AUDITOR = "auditor"
    """All conversations, reading only."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who may use the web chat, and as what, where people sign in.

    An entry is an e-mail address, a domain (`@example.org`), a subject (`sub:4711`), with Sign in with Slack a workspace or a user
    (`slack:workspace:T1`, `slack:user:U1`), or `*` for everybody who can sign in.
    """

    allow: tuple[str, ...] = ()
    """Who may ask, and see what they take part in."""
    auditors: tuple[str, ...] = ()
    """Who may read everything, and every look at others' conversations is recorded."""
    admins: tuple[str, ...] = ()
    """Who may do everything."""

    def role(self, subjects: Collection[str]) -> Role | None:
        """What somebody is who is all these subjects: the most that any list says; None where none names them."""
        listed = {Role.ADMIN: self.admins, Role.AUDITOR: self.auditors, Role.MEMBER: self.allow}
        known = {_folded(subject) for subject in subjects}
        return next((role for role, entries in listed.items() if not known.isdisjoint(map(_folded, entries))), None)


def _folded(subject: str) -> str:
    """Return an e-mail address or domain in small letters, and ids as they are."""
    return subject if subject.startswith(("sub:", "slack:")) else subject.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How many requests the web chat and its API take in a minute; one that changes something counts as ten."""

    viewer: float = 600.0
    """Of one person, or one token."""
    address: float = 3000.0
    """Of one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret by which a program uses the API."""

    id: str
    """SHA-256 of the secret, hexadecimal: who reads the database cannot use it."""
    name: str
    """What people call it."""
    role: Role
    made: datetime
    until: datetime | None = None
    """When it ends; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """That somebody is signed in to the web chat, in one browser."""

    id: str
    """SHA-256 of the secret in the browser's cookie, hexadecimal: who reads the database cannot use it."""
    person: Author
    made: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A link by which everybody may read a conversation."""

    id: str
    """SHA-256 of the secret in the link, hexadecimal: who reads the database cannot open the page."""
    thread: ThreadId
    by: Author
    made: datetime
    until: datetime

    @property
    def name(self) -> str:
        """What the audit calls it."""
        return f"link {self.id[:12]}"
