"""`codeact-bot schedules` on a real database."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from codeact_bot.desk import StoreDesk
from tests.store.test_schedules import WISH

pytestmark = pytest.mark.needs("mongo")
BINARY = Path(sys.executable).parent / "codeact-bot"


async def test_schedules_are_listed_paused_resumed_and_deleted(open_mongo, mongo_url, database, tmp_path):
    given = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": database}

    def run(*arguments):
        return subprocess.run([BINARY, "schedules", *arguments], capture_output=True, text=True, env=given, check=False)

    assert "There are no schedules" in run().stderr
    store = await open_mongo()
    made = await StoreDesk(store).order(replace(WISH, when="0 9 * * mon", question="how many?"))
    await store.aclose()
    name, runs, following, who, channel, question = run().stdout.strip().split("\t")
    assert (name, runs, who, channel, question) == (made.id, "`0 9 * * mon` (UTC)", "Ann", "test:1", "how many?")
    assert following.endswith("09:00")
    assert run("pause", name).stdout.split("\t")[2] == "paused"
    assert run("resume", name).stdout.split("\t")[2] == following
    assert "name one: `codeact-bot schedules pause NAME`" in run("pause").stderr
    assert run("delete", name).stdout == ""
    gone = run("delete", name)
    assert (gone.returncode, "There is no schedule" in gone.stderr) == (1, True)
