"""Who looks at a page, and how they came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from codeact_bot.types import Author, Role, Thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The person behind a request."""

    id: str
    """What conversations know them by: the `Author.id` of what they ask."""
    name: str
    roles: frozenset[Role] = frozenset({Role.MEMBER})

    @property
    def author(self) -> Author:
        """The person as the author of a question."""
        return Author(id=self.id, name=self.name)

    @property
    def may_ask(self) -> bool:
        """Whether they may ask at all, and not only read."""
        return not self.roles.isdisjoint({Role.MEMBER, Role.ADMIN})

    @property
    def sees_all(self) -> bool:
        """Whether other people's conversations are open to them."""
        return not self.roles.isdisjoint({Role.AUDITOR, Role.ADMIN})

    def takes_part(self, thread: Thread) -> bool:
        """Whether they wrote in a conversation, or somebody permitted them to act there."""
        return self.id in thread.people or self.id in thread.permitted

    def may_see(self, thread: Thread) -> bool:
        """Whether a conversation is open to them."""
        return self.sees_all or self.takes_part(thread)

    def may_write(self, thread: Thread) -> bool:
        """Whether they may ask in a conversation, and stop and retry what is asked there."""
        return self.may_ask and (Role.ADMIN in self.roles or self.takes_part(thread))

    def may_steer(self, thread: Thread, asker: Author) -> bool:
        """Whether they may say what code runs for a question in a conversation: who asked it, those permitted there, admins."""
        return self.may_ask and (Role.ADMIN in self.roles or self.id in (asker.id, *thread.permitted))


class Gate(Protocol):
    """How people come in; one of these per site."""

    remedy: str
    """A sentence for strangers: how to come in."""

    def routes(self) -> list[BaseRoute]:
        """Further pages that it needs, reachable without being known."""

    async def viewer(self, request: Request) -> Viewer | None:
        """Who makes this request; None for a stranger."""

    async def stranger(self, request: Request) -> Response | None:
        """Answer a stranger's request for a page; None where they are to be told that they may not."""


def local(url: URL) -> str:
    """Return an address without its site, so that it cannot lead to another one."""
    return "/" + url.path.lstrip("/\\") + (f"?{url.query}" if url.query else "")
