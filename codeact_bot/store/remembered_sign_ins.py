"""The part of MemoryStore that keeps who is signed in to the web chat."""

from __future__ import annotations

from collections.abc import Sequence

from codeact_bot.store import records
from codeact_bot.store.remembered_tokens import RememberedTokens
from codeact_bot.types import SignIn, now


class RememberedSignIns(RememberedTokens):
    """Sign-ins in memory, by the digest of their secret."""

    def __init__(self) -> None:
        """Have none."""
        super().__init__()
        self._sign_ins: dict[str, SignIn] = {}

    async def save_sign_in(self, sign_in: SignIn) -> None:
        """Keep that somebody is signed in; what was kept of others goes when its time is over."""
        self._sign_ins = {each.id: each for each in (*self._good(), sign_in)}

    async def sign_in(self, sign_in_id: str) -> SignIn | None:
        """A sign-in that is still good; None where there is none."""
        found = self._sign_ins.get(sign_in_id)
        return found if found and found.until > now() else None

    async def sign_ins(self) -> Sequence[SignIn]:
        """The sign-ins that are still good, the first made first; at most 1,000."""
        return sorted(self._good(), key=lambda each: (each.made, each.id))[: records.FOUND]

    async def end_sign_in(self, sign_in_id: str) -> None:
        """Sign somebody out in one browser."""
        self._sign_ins.pop(sign_in_id, None)

    async def end_sign_ins(self, person: str) -> int:
        """Sign a person out in all browsers; returns in how many they were signed in."""
        theirs = [each.id for each in self._good() if each.person.id == person]
        for each in theirs:
            del self._sign_ins[each]
        return len(theirs)

    def _good(self) -> list[SignIn]:
        at = now()
        return [each for each in self._sign_ins.values() if each.until > at]
