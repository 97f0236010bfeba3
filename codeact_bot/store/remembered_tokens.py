"""The part of MemoryStore that keeps the tokens of programs."""

from __future__ import annotations

from collections.abc import Sequence

from codeact_bot.store import records
from codeact_bot.store.remembered_listings import RememberedListings
from codeact_bot.types import Token, now


class RememberedTokens(RememberedListings):
    """Tokens in memory, by their names."""

    def __init__(self) -> None:
        """Have none."""
        super().__init__()
        self._tokens: dict[str, Token] = {}

    async def save_token(self, token: Token) -> bool:
        """Keep a token; False where there is one of that name already."""
        return self._tokens.setdefault(token.name, token) is token

    async def token(self, token_id: str) -> Token | None:
        """A token that is still good; None where there is none."""
        at = now()
        return next((each for each in self._tokens.values() if each.id == token_id and (each.until is None or each.until > at)), None)

    async def tokens(self) -> Sequence[Token]:
        """All tokens, those whose time is over, too, the first made first; at most 1,000."""
        return sorted(self._tokens.values(), key=lambda each: (each.made, each.id))[: records.FOUND]

    async def remove_token(self, name: str) -> bool:
        """Make a token void; False where there is none of that name."""
        return self._tokens.pop(name, None) is not None
