"""The part of a store on MongoDB that keeps who is signed in to the web chat."""

from __future__ import annotations

from collections.abc import Sequence

from codeact_bot.store import documents, records
from codeact_bot.store.outages import reaching
from codeact_bot.store.tokens import Tokens
from codeact_bot.types import SignIn, now


class SignIns(Tokens):
    """Sign-ins, by the digest of their secret."""

    @reaching
    async def save_sign_in(self, sign_in: SignIn) -> None:
        """Keep that somebody is signed in; what was kept of others goes when its time is over."""
        await self._database.sign_ins.delete_many({"until": {"$lte": now()}})
        await self._database.sign_ins.insert_one(documents.document(sign_in) | {"_id": sign_in.id})

    @reaching
    async def sign_in(self, sign_in_id: str) -> SignIn | None:
        """A sign-in that is still good; None where there is none."""
        found = await self._database.sign_ins.find_one({"_id": sign_in_id, "until": {"$gt": now()}})
        return documents.decode(SignIn, found) if found else None

    @reaching
    async def sign_ins(self) -> Sequence[SignIn]:
        """The sign-ins that are still good, the first made first; at most 1,000."""
        cursor = self._database.sign_ins.find({"until": {"$gt": now()}}).sort([("made", 1), ("_id", 1)]).limit(records.FOUND)
        return [documents.decode(SignIn, each) async for each in cursor]

    @reaching
    async def end_sign_in(self, sign_in_id: str) -> None:
        """Sign somebody out in one browser."""
        await self._database.sign_ins.delete_one({"_id": sign_in_id})

    @reaching
    async def end_sign_ins(self, person: str) -> int:
        """Sign a person out in all browsers; returns in how many they were signed in."""
        result = await self._database.sign_ins.delete_many({"person.id": documents.encode(person), "until": {"$gt": now()}})
        return int(result.deleted_count)
