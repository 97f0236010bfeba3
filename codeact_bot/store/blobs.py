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
        """Keep the bytes; they are there for readers all at once or not at all."""
        if await self.files.find_one({"filename": digest}, {"_id": 1}):
            return
        name = ObjectId()
        try:
            await self._bucket.upload_from_stream_with_id(name, digest, data)
        except FileExists:
            await self.remove(name)

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

    async def remove(self, name: ObjectId) -> None:
        """Remove the bytes of an upload whose entry in `files` is gone or never came."""
        await self._chunks.delete_many({"files_id": name})
