"""Who may ask, and who may stop and retry."""

from __future__ import annotations

from dataclasses import dataclass

from codeact_bot.types import Access, Author

REFUSED_ASK = "Sorry, you are not on the list of people who may use me here. Ask an admin of this bot to add you, this channel or this workspace."
REFUSED_STEER = "Sorry, only the person who asked, people they allowed with `/codeact allow`, and admins may do that."


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A person at a place of a platform."""

    platform: str
    user: str
    workspace: str = ""
    """Slack's workspace or Discord's guild; empty in Discord's direct messages."""
    channel: str = ""
    """A thread counts as the channel it belongs to."""
    roles: tuple[str, ...] = ()

    def subjects(self) -> set[str]:
        """Return the names under which lists of access may mention this person."""
        home = "guild" if self.platform == "discord" else "workspace"
        named = [("user", self.user), (home, self.workspace), ("channel", self.channel), *(("role", role) for role in self.roles)]
        return {f"{self.platform}:{kind}:{name}" for kind, name in named if name}


def may_ask(access: Access, visitor: Visitor) -> bool:
    """Whether the person may use the bot."""
    return access.admits(visitor.subjects())


def may_steer(access: Access, visitor: Visitor, asker: Author, permitted: tuple[str, ...]) -> bool:
    """Whether the person may stop or retry a question: its asker, those permitted in the thread, admins."""
    if access.is_admin(visitor.subjects()):
        return True
    return may_ask(access, visitor) and visitor.user in (asker.id, *permitted)
