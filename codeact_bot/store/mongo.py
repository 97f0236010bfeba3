"""The store on MongoDB: one document per thread is queue, lock and memory of what was seen. All of motor is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from pymongo import IndexModel, ReturnDocument
from pymongo.errors import ConfigurationError, DocumentTooLarge, InvalidURI, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from codeact_bot.errors import FileRefused, LeaseLost, StoreUnavailable
from codeact_bot.redaction import Redactor
from codeact_bot.store import documents, outages, queries, records, rows
from codeact_bot.store.audit import Audit
from codeact_bot.store.blobs import Blobs
from codeact_bot.store.documents import Document
from codeact_bot.store.outages import reaching
from codeact_bot.store.retention import Retaining
from codeact_bot.store.sign_ins import SignIns
from codeact_bot.types import File, Glimpse, Incoming, Lease, Outcome, Step, ThreadId, Turn

TIMES: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 20_000}
"""How long to look for a server, to connect to it, and to wait for its answer."""
TOO_LARGE = {10334, 17280, 17419}
"""Codes with which a server refuses a document beyond 16 MiB."""
OTHERWISE = {85, 86}
"""Codes with which a server refuses an index that differs from one of the same name or keys."""


class MongoStore(Retaining):
    """A Store on a MongoDB replica set; open it with `MongoStore.open`."""

    def __init__(self, client: Any, database: str, where: str, redactor: Redactor | None = None) -> None:
        """Take a connected client; `where` is the address that errors may show."""
        opened = client.get_database(database, write_concern=WriteConcern("majority", j=True), read_concern=ReadConcern("majority"))
        SignIns.__init__(self, opened, Blobs(opened, AsyncIOMotorGridFSBucket(opened, "snapshots"), "snapshots"))
        Audit.__init__(self, opened)
        self.where = where
        self.redact = redactor or Redactor()
        self._client = client
        self._fleeting = self._threads.with_options(write_concern=WriteConcern(1), read_concern=ReadConcern("local"))
        self._files = Blobs(self._database, AsyncIOMotorGridFSBucket(self._database, "files"), "files")

    @classmethod
    async def open(cls, url: str, database: str = "codeact", redactor: Redactor | None = None) -> MongoStore:
        """Connect and build the indexes. Raises StoreUnavailable, also for a server that is no replica set."""
        where = outages.address(url)
        if not url.startswith(("mongodb://", "mongodb+srv://")):
            raise StoreUnavailable(outages.no_address(where))
        try:
            client: Any = AsyncIOMotorClient(url, **TIMES, tz_aware=True, tzinfo=UTC)
        except (InvalidURI, ConfigurationError, ValueError) as error:
            raise StoreUnavailable(outages.no_address(where)) from error
        store = cls(client, database, where, redactor)
        try:
            await store._prepare()
        except BaseException:
            client.close()
            raise
        return store

    @reaching
    async def _prepare(self) -> None:
        hello = await self._client.admin.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StoreUnavailable(
                f"MongoDB at {self.where} is a standalone server, on which a write that was cut off cannot be repeated safely. "
                "Start it with `--replSet codeact` and run `rs.initiate()` once in mongosh; a replica set of one server is enough."
            )
        for name, indexes in queries.INDEXES.items():
            await self._index(name, [IndexModel(list(keys), unique=unique) for keys, unique in indexes])

    async def _index(self, collection: str, indexes: Sequence[IndexModel]) -> None:
        """Build indexes; one of the same name that an older version built otherwise makes room."""
        try:
            await self._database[collection].create_indexes(list(indexes))
        except OperationFailure as error:
            if error.code not in OTHERWISE:
                raise
            if len(indexes) == 1:
                await self._database[collection].drop_index(indexes[0].document["name"])
            for index in indexes:
                await self._index(collection, [index])

    @reaching
    async def push(self, incoming: Incoming) -> bool:
        """Keep a message and queue it; False when it is a redelivery. Raises FileRefused for a text beyond 1 MiB."""
        incoming = self.redact.incoming(incoming)
        records.check_message(incoming)
        await self._keep(incoming.files)
        name = documents.encode(incoming.id)
        before = await self._push(incoming)
        if len(before.get("seen", ())) >= records.SEEN and not knows(before, name):
            if await self._turns.find_one({"_id": records.turn_id(incoming)}, {"_id": 1}):
                return False
            before = await self._push(incoming, sure=True)
        return not knows(before, name)

    async def _push(self, incoming: Incoming, *, sure: bool = False) -> Document:
        """Queue a message in its thread; returns the thread as it was before, empty where it is new."""
        fields = {"seen": 1, "pending.id": 1}
        try:
            update = queries.push(incoming, sure=sure)
            before = await self._threads.find_one_and_update({"_id": incoming.thread}, update, upsert=True, projection=fields)
        except (OperationFailure, DocumentTooLarge) as error:
            if isinstance(error, OperationFailure) and error.code not in TOO_LARGE:
                raise
            raise FileRefused("Too many long messages wait in this conversation. Wait for an answer, then send it again.") from error
        return before or {}

    @reaching
    async def claim(self, owner: str, seconds: float, prefixes: Sequence[str]) -> Lease | None:
        """Take the thread that has waited longest, of those that begin with a prefix and that no live lease holds."""
        while prefixes:
            found = await self._threads.find_one_and_update(
                queries.waiting(prefixes),
                queries.lend(owner, seconds),
                sort=[("waiting", 1), ("_id", 1)],
                projection={"lease": 1, "ran": 1, "pending": {"$slice": 1}, "open.outcome": 1},
                return_document=ReturnDocument.AFTER,
            )
            if found is None:
                return None
            lease, incoming = found["lease"], documents.decode(Incoming, found["pending"][0])
            claimed = Lease(
                thread=ThreadId(found["_id"]),
                owner=owner,
                token=int(lease["token"]),
                incoming=incoming,
                until=lease["until"],
                ran=found.get("ran", ""),
            )
            if not found.get("open", {}).get("outcome"):
                return claimed
            await self._settled(claimed.thread, {})
            await self.release(claimed)
        return None

    async def arrivals(self) -> AsyncIterator[None]:
        """Yield whenever a message was queued, by whichever worker. Raises StoreUnavailable."""
        try:
            async with self._threads.watch(list(queries.ARRIVALS), max_await_time_ms=1000) as changes:
                async for _ in changes:
                    yield
        except PyMongoError as error:
            raise StoreUnavailable(outages.phrase(error, self.where)) from error

    @reaching
    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Extend a lease. Raises LeaseLost."""
        found = await self._update_held(lease, queries.extend(seconds), {"lease.until": 1})
        return replace(lease, until=found["lease"]["until"])

    @reaching
    async def release(self, lease: Lease) -> None:
        """Give the thread back. Raises LeaseLost."""
        await self._update_held(lease, {"$unset": {"lease.until": ""}}, {"_id": 1})

    async def _update_held(self, lease: Lease, update: Any, projection: Document) -> Document:
        found: Document | None = await self._threads.find_one_and_update(
            queries.held(lease), update, projection=projection, return_document=ReturnDocument.AFTER
        )
        if found is None:
            raise LeaseLost(records.lease_lost(lease))
        return found

    @reaching
    async def pending(self, thread: ThreadId) -> Sequence[Incoming]:
        """Messages that wait in the thread, oldest first, the one being answered included."""
        found = await self._settled(thread, {"pending": 1})
        return [documents.decode(Incoming, each) for each in found.get("pending", ())] if found else []

    @reaching
    async def ask_stop(self, thread: ThreadId) -> None:
        """Ask for the message at the head of the queue to be given up; without one, nothing happens."""
        await self._threads.update_one({"_id": thread}, queries.stop())

    @reaching
    async def stop_asked(self, lease: Lease) -> bool:
        """Whether the lease's message is to be given up. Raises LeaseLost."""
        found = await self._threads.find_one(queries.held(lease), {"stop": 1})
        if found is None:
            raise LeaseLost(records.lease_lost(lease))
        return bool(found.get("stop") == documents.encode(lease.incoming.id))

    @reaching
    async def open_turn(self, lease: Lease) -> Turn:
        """Begin the turn of the lease's message, or return the one that a dead worker left open. Raises LeaseLost."""
        turn = Turn(id=records.turn_id(lease.incoming), incoming=lease.incoming)
        thread = await self._update_held(lease, queries.begin(turn.id, lease.token), {"open": 1})
        row = await self._turns.find_one_and_update(
            {"_id": turn.id},
            {"$setOnInsert": rows.opened(turn, thread["open"]["number"])},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        found = rows.turn(row, thread["open"], await self._steps_of({turn.id: rows.versions(thread["open"])}))
        return replace(found, resumed=thread["open"]["token"] != lease.token)

    async def _write(self, lease: Lease, turn_id: str, update: Any) -> None:
        """Change an open turn in its thread's document, where the lease is checked by the same write."""
        result = await self._threads.update_one(queries.writing(lease, turn_id), update)
        if not result.matched_count:
            raise LeaseLost(records.lease_lost(lease))

    @reaching
    async def save_reply(self, lease: Lease, turn_id: str, reply: str) -> None:
        """Remember which post shows the turn. Raises LeaseLost."""
        await self._write(lease, turn_id, {"$set": {"open.reply": documents.encode(reply)}})

    @reaching
    async def save_step(self, lease: Lease, turn_id: str, step: Step) -> None:
        """Write a step with the bytes of its files; an open one never replaces a closed one. Raises LeaseLost, FileRefused."""
        step = self.redact.step(step)
        await self._keep(records.step_files(step))
        version = queries.version(turn_id, lease.token, step)
        row = documents.fit(documents.document(step)) | {"turn": turn_id}
        await self._steps.replace_one({"_id": version}, row, upsert=True)
        await self._write(lease, turn_id, queries.show(turn_id, step, version))

    @reaching
    async def save_glimpse(self, lease: Lease, turn_id: str, glimpse: Glimpse) -> bool:
        """Let others see what a turn shows of the step under way; False where that has gone on, or the lease is no longer valid."""
        update = {"$set": {queries.GLIMPSE: documents.document(self.redact.glimpse(glimpse))}}
        return bool((await self._fleeting.update_one(queries.showing(lease, turn_id, glimpse), update)).matched_count)

    @reaching
    async def glimpse(self, thread: ThreadId, turn_id: str) -> Glimpse | None:
        """What a turn that runs shows of the step under way; None where nothing was kept of that."""
        found = await self._fleeting.find_one({"_id": thread, "open.turn": turn_id}, {queries.GLIMPSE: 1})
        kept = found["open"].get("glimpse") if found else None
        return documents.decode(Glimpse, kept) if kept else None

    @reaching
    async def end_turn(self, lease: Lease, turn_id: str, outcome: Outcome) -> Turn:
        """Write the outcome and take the message off the queue; from the first write on, the turn has ended. Raises LeaseLost."""
        await self._owe(lease.incoming, lease.owner)
        ending = {"$set": rows.ending(self.redact.outcome(outcome))}
        found = await self._threads.find_one_and_update(
            queries.writing(lease, turn_id), ending, projection={"open": 1}, return_document=ReturnDocument.AFTER
        )
        if found is None:
            raise LeaseLost(records.lease_lost(lease))
        return await self._settle(lease.thread, found["open"])

    @reaching
    async def save_file(self, file: File) -> None:
        """Keep a file's bytes under their digest, once. Raises FileRefused where they do not belong to it."""
        await self._files.save(file.digest, records.content(file))

    async def _keep(self, files: Sequence[File]) -> None:
        for file in records.carried(files):
            await self._files.save(file.digest, records.content(file))

    @reaching
    async def load_file(self, digest: str) -> bytes:
        """Return the bytes of that digest. Raises FileRefused when there are none."""
        data = await self._files.load(digest)
        if data is None:
            raise FileRefused(records.no_file(digest))
        return data

    async def aclose(self) -> None:
        """Close the connections."""
        self._client.close()


def knows(thread: Document, incoming_id: Any) -> bool:
    """Whether a thread's document remembers a message."""
    return incoming_id in thread.get("seen", ()) or any(each["id"] == incoming_id for each in thread.get("pending", ()))
