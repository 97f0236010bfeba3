"""The part of a store on MongoDB that keeps what sandboxes held: each conversation's state, that of its last turns, and forks from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from codeact_bot.errors import FileRefused, LeaseLost, ThreadNotFound
from codeact_bot.store import documents, queries, records, rows
from codeact_bot.store.blobs import Blobs
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.places import Places
from codeact_bot.types import Incoming, Lease, Part, Snapshot, ThreadId


class States(Places):
    """States are named by the digests of their parts; each part counts who uses it, and goes with its last user."""

    def __init__(self, database: Any, parts: Blobs) -> None:
        """Take the driver's database, and where the parts lie."""
        super().__init__(database)
        self._snapshots = parts

    @reaching
    async def save_snapshot(self, lease: Lease, snapshot: Snapshot) -> None:
        """Keep the thread's state; it replaces the one before. Raises LeaseLost, FileRefused where a part came without its bytes and is not here."""
        if not await self._replace_state(queries.held(lease), snapshot):
            raise LeaseLost(records.lease_lost(lease))

    @reaching
    async def save_idle(self, thread: ThreadId, snapshot: Snapshot) -> bool:
        """Keep the state of a thread that nobody works in and no message waits in; False where its mark is not the last step that ran there."""
        return await self._replace_state(queries.idle(thread, snapshot.mark), snapshot)

    async def _replace_state(self, match: Document, snapshot: Snapshot) -> bool:
        manifest = rows.manifest(snapshot)
        await self._use(snapshot.parts)
        before = await self._threads.find_one_and_update(match, {"$set": {"snapshot": manifest}}, projection={"snapshot": 1})
        await self._drop(manifest if before is None else before.get("snapshot"))
        return before is not None

    async def _use(self, parts: Sequence[Part]) -> None:
        """Count one more user of each part, or of none."""
        used: list[str] = []
        for part in records.distinct(parts):
            if not await self._snapshots.use(part.digest, part.data):
                for digest in used:
                    await self._snapshots.drop(digest)
                raise FileRefused(records.no_file(part.digest))
            used.append(part.digest)

    async def _drop(self, manifest: object) -> None:
        """Count one user less of each part of a state."""
        for part in records.distinct(rows.parts(manifest)):
            await self._snapshots.drop(part.digest)

    @reaching
    async def load_snapshot(self, thread: ThreadId) -> Snapshot | None:
        """The thread's last state; one without parts where code ran and no state was kept, None where none ran."""
        tried: object = None
        while True:
            found = await self._threads.find_one({"_id": thread}, {"snapshot": 1, "ran": 1}) or {}
            kept, ran = rows.snapshot(found.get("snapshot")), found.get("ran", "")
            if kept is None or kept == tried:
                return Snapshot(parts=(), behind=True) if ran else None
            data = [await self._snapshots.load(part.digest) for part in kept.parts]
            if None not in data:
                parts = tuple(replace(part, data=each) for part, each in zip(kept.parts, data, strict=True))
                return replace(kept, parts=parts, behind=ran != kept.mark)
            tried = kept

    @reaching
    async def keep_state(self, lease: Lease, turn_id: str) -> None:
        """Keep the thread's state as that of a turn, too, so that one can go back to it; those of long ago go. Raises LeaseLost."""
        found = await self._threads.find_one(queries.held(lease), {"snapshot": 1})
        if found is None:
            raise LeaseLost(records.lease_lost(lease))
        manifest = found.get("snapshot")
        await self._use([replace(part, data=None) for part in rows.parts(manifest)])
        before = await self._turns.find_one_and_update({"_id": turn_id}, {"$set": {"snapshot": manifest}}, projection={"snapshot": 1, "number": 1})
        await self._drop(before.get("snapshot") if before else manifest)
        if before is not None:
            await self._forget_states(lease.thread, before["number"] - records.STATES)

    async def _forget_states(self, thread: ThreadId, number: int) -> None:
        old = {"thread": thread, "state": "ended", "number": {"$lte": number, "$gt": number - records.STATES}, "snapshot": {"$ne": None}}
        while (gone := await self._turns.find_one_and_update(old, {"$unset": {"snapshot": ""}}, projection={"snapshot": 1})) is not None:
            await self._drop(gone["snapshot"])

    @reaching
    async def fork(self, thread: ThreadId, fork: ThreadId, turns: int) -> bool:
        """Begin a conversation with the history and, where it is kept, the state that another had after so many turns. Raises ThreadNotFound."""
        found = await self._settled(thread, {**rows.VIEW, "owner": 1, "words": 1, "worded": 1})
        if found is None:
            raise ThreadNotFound(records.no_thread(thread))
        cursor = self._turns.find({"thread": thread, "state": "ended"}).sort("number", 1).limit(max(0, turns))
        past = [each async for each in cursor] if turns > 0 else []
        for row in past:
            await self._copy(row, fork)
        ran = next((row["ran"] for row in reversed(past) if row.get("ran")), "")
        manifest = await self._shared(next((row.get("snapshot") for row in reversed(past) if row.get("ran") or row.get("snapshot")), None))
        view = {name: found[name] for name in ("title", "participants", "people", "words", "worded", "created", "permitted") if name in found}
        state = {"snapshot": manifest, "ran": ran} if ran or manifest else {}
        state |= {"ending": past[-1]["outcome"]["ending"]} if past else {}
        number = past[-1]["number"] if past else 0
        fields = queries.literals(view | state | {"opened": number}) | {"updated": "$$NOW"}
        await self._threads.update_one({"_id": fork}, [{"$set": fields}], upsert=True)
        return not ran or manifest is not None

    async def _copy(self, row: Document, fork: ThreadId) -> None:
        """Copy a turn and its steps into another conversation, and share the state that is kept of it."""
        name = records.turn_id_of(fork, documents.decode(Incoming, row["incoming"]).id)
        versions = {old: f"{name}{old.removeprefix(row['_id'])}" for old in row.get("steps", ())}
        async for each in self._steps.find({"_id": {"$in": list(versions)}}):
            await self._steps.replace_one({"_id": versions[each["_id"]]}, each | {"_id": versions[each["_id"]], "turn": name}, upsert=True)
        copy = row | {"_id": name, "thread": fork, "steps": list(versions.values()), "incoming": row["incoming"] | {"thread": fork}, "reply": ""}
        copy = {field: value for field, value in copy.items() if not field.startswith(rows.FACT) or field in queries.KEPT_FACTS}
        copy["snapshot"] = await self._shared(row.get("snapshot"))
        await self._turns.replace_one({"_id": name}, copy, upsert=True)

    async def _shared(self, manifest: object) -> object:
        """Count a further user of a state; None where there is none, or where its parts are gone."""
        try:
            await self._use([replace(part, data=None) for part in rows.parts(manifest)])
        except FileRefused:
            return None
        return manifest
