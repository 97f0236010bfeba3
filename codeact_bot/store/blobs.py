"""Bytes in GridFS under their digest: the same bytes are kept once, however many save them at the same moment."""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from gridfs.errors import CorruptGridFile, FileExists, NoFile


class Blobs:
    """One GridFS bucket whose `filename`, unique by index, is the digest of the bytes."""

    def __init__(self, database: Any, bucket: Any, name: str) -> None:
        """Take the driver's database and bucket; `name` is the bucket's."""
        self.files = database[f"{name}.files"]
        self._chunks = database[f"{name}.chunks"]
        self._bucket = bucket

    async def save(self, digest: str, data: bytes) -> None:
        """Keep the bytes; they are there for readers all at once or not at all. Bytes that are there already count as saved just now."""
        if (await self.files.update_one({"filename": digest}, [{"$set": {"saved": "$$NOW"}}])).matched_count:
            return
        name = ObjectId()
        try:
            await self._bucket.upload_from_stream_with_id(name, digest, data)
        except FileExists:
            await self._chunks.delete_many({"files_id": name})

    async def load(self, digest: str) -> bytes | None:
        """Return the bytes, or None where there are none (or no longer)."""
        found = await self.files.find_one({"filename": digest}, {"_id": 1})
        if found is None:
            return None
        try:
            stream = await self._bucket.open_download_stream(found["_id"])
            return bytes(await stream.read())
        except (NoFile, CorruptGridFile):
            return None

    async def use(self, digest: str, data: bytes | None) -> bool:
        """Keep the bytes and count one more user of them; False where none are given and none are there.

        A user that dies uncounted leaves bytes behind, never a hole.
        """
        while True:
            counted = await self.files.update_one({"filename": digest}, {"$inc": {"uses": 1}})
            if counted.matched_count or data is None:
                return bool(counted.matched_count)
            await self.save(digest, data)

    async def remove(self, digest: str, seconds: float) -> bool:
        """Remove bytes that nobody has saved for so long; False where somebody has."""
        saved = {"$max": ["$saved", "$uploadDate"]}
        old = {"filename": digest, "$expr": {"$lte": [saved, {"$subtract": ["$$NOW", round(seconds * 1000)]}]}}
        gone = await self.files.find_one_and_delete(old, projection={"_id": 1})
        if gone:
            await self._chunks.delete_many({"files_id": gone["_id"]})
        return gone is not None or await self.files.find_one({"filename": digest}, {"_id": 1}) is None

    async def drop(self, digest: str | None) -> None:
        """Count one user less, and remove the bytes with the last."""
        await self.files.update_one({"filename": digest}, {"$inc": {"uses": -1}})
        gone = await self.files.find_one_and_delete({"filename": digest, "uses": {"$lte": 0}}, projection={"_id": 1})
        if gone:
            await self._chunks.delete_many({"files_id": gone["_id"]})
