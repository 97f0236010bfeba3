"""Making a server that has just started a replica set of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from codeact_bot.errors import StoreUnavailable

REPLICA_SET = "codeact"
START_SECONDS = 60.0
"""How long a server may take until it answers; recovery after a kill takes a few seconds, a slow disk more."""
PAUSE = 0.02

Client = pymongo.MongoClient[dict[str, Any]]


def await_primary(url: str, member: str, running: Callable[[], bool]) -> None:
    """Wait until the server takes writes under the name `member`. Raises StoreUnavailable when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    client: Client = pymongo.MongoClient(url, serverSelectionTimeoutMS=500, socketTimeoutMS=5000)
    with client:
        while not _ready(client, member):
            if not running():
                raise StoreUnavailable("it ended before it answered")
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"it did not answer within {START_SECONDS:.0f} seconds")
            time.sleep(PAUSE)


def _ready(client: Client, member: str) -> bool:
    try:
        hello = client.admin.command("hello")
        if "setName" not in hello:
            _configure(client, member)
        return bool(hello["isWritablePrimary"] and "setName" in hello)
    except PyMongoError:
        return False


def _configure(client: Client, member: str) -> None:
    """Make the server a replica set, or tell one whose folder was moved its new name."""
    wanted = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except PyMongoError:
        client.admin.command("replSetInitiate", wanted)
        return
    if config["members"][0]["host"] != member:
        client.admin.command("replSetReconfig", {**wanted, "version": config["version"] + 1}, force=True)
