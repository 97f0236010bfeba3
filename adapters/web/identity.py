"""Who somebody is by the word of a sign-in server or a proxy, and what that makes them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from adapters.render import one_line
from adapters.web.access import Viewer
from codeact_bot.types import People

SLACK = "https://slack.com"
"""The issuer whose people are known to the bot already, by their ids in Slack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody whose word was checked."""

    id: str
    """What conversations know them by; it has an `@` unless it is an id of Slack, so that nobody can choose somebody else's."""
    name: str
    subjects: tuple[str, ...]
    """All that they are to the lists of `People`."""

    def viewer(self, people: People) -> Viewer | None:
        """The person as the lists have it now; None where they are not let in."""
        role = people.role(self.subjects)
        return Viewer(id=self.id, name=self.name, roles=frozenset({role})) if role else None

    def kept(self) -> dict[str, Any]:
        """What a session keeps."""
        return {"id": self.id, "name": self.name, "subjects": list(self.subjects)}

    @classmethod
    def of_session(cls, kept: Mapping[str, Any]) -> Identity:
        """Read what a session kept."""
        return cls(id=kept["id"], name=kept["name"], subjects=tuple(kept["subjects"]))

    @classmethod
    def of_claims(cls, issuer: str, claims: Mapping[str, Any]) -> Identity:
        """Read the claims of an ID token that was checked. An e-mail address counts where its issuer says that it was verified."""
        subject, email = str(claims["sub"]), str(claims.get("email") or "")
        verified = claims.get("email_verified") in (True, "true")
        person = f"{subject}@{urlsplit(issuer).hostname}"
        subjects = [f"sub:{subject}", *(_addresses(email) if verified else ())]
        if issuer.rstrip("/") == SLACK and isinstance(claims.get(f"{SLACK}/user_id"), str):
            person = claims[f"{SLACK}/user_id"]
            subjects += [f"slack:user:{person}", f"slack:workspace:{claims.get(f'{SLACK}/team_id')}"]
        return cls(id=person, name=one_line(str(claims.get("name") or email or subject), 80), subjects=(*subjects, "*"))

    @classmethod
    def of_headers(cls, user: str, email: str) -> Identity:
        """Read what a proxy says of the person whom it signed in."""
        address = email or (user if "@" in user else "")
        return cls(id=user if "@" in user else f"{user}@proxy", name=one_line(user, 80), subjects=(f"sub:{user}", *_addresses(address), "*"))


def _addresses(email: str) -> tuple[str, ...]:
    """Return an address and its domain as entries of the lists."""
    lower = email.lower()
    _, at, domain = lower.rpartition("@")
    return (lower, f"@{domain}") if at and domain else ()
