"""A worker that asks before code runs, to be killed: it dies at a labelled point, as those of tests/crash_worker.py do.

Takes the address of a MongoDB, the name of a database, a label with a count (`before append 2`; `never 1` for none), and a file that is told of each
execution that began. It ends by itself when a message has been answered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from codeact_bot.model.scripted import ScriptedModel
from codeact_bot.store.mongo import MongoStore
from tests.crash_worker import Fate, arm
from tests.test_service import Chat, working


async def work(url: str, database: str) -> None:
    store, chat = await MongoStore.open(url, database), Chat()
    async with working(store, chat, ScriptedModel(["Done."]), approve=True):
        await chat.ended()
    await store.aclose()


def main() -> None:
    url, database, label, log = sys.argv[1:]
    point, _, count = label.rpartition(" ")
    arm(Fate(point, int(count), lambda _: None), Path(log))
    asyncio.run(work(url, database))


if __name__ == "__main__":
    main()
