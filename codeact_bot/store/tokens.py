"""The part of a store on MongoDB that keeps the tokens of programs."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.errors import DuplicateKeyError

from codeact_bot.store import documents, records
from codeact_bot.store.listings import Listings
from codeact_bot.store.outages import reaching
from codeact_bot.types import Token, now


class Tokens(Listings):
    """Tokens, by the digest of their secret."""

    @reaching
    async def save_token(self, token: Token) -> bool:
        """Keep a token; False where there is one of that name already."""
        try:
            await self._database.tokens.insert_one(documents.document(token) | {"_id": token.id})
        except DuplicateKeyError:
            return False
        return True

    @reaching
    async def token(self, token_id: str) -> Token | None:
        """A token that is still good; None where there is none."""
        found = await self._database.tokens.find_one({"_id": token_id, "$or": [{"until": None}, {"until": {"$gt": now()}}]})
        return documents.decode(Token, found) if found else None

    @reaching
    async def tokens(self) -> Sequence[Token]:
        """All tokens, those whose time is over, too, the first made first; at most 1,000."""
        cursor = self._database.tokens.find().sort([("made", 1), ("_id", 1)]).limit(records.FOUND)
        return [documents.decode(Token, each) async for each in cursor]

    @reaching
    async def remove_token(self, name: str) -> bool:
        """Make a token void; False where there is none of that name."""
        result = await self._database.tokens.delete_one({"name": documents.encode(name)})
        return bool(result.deleted_count)
