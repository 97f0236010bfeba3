"""The log: one line per record, as text or as JSON, and nothing in it that is none of its business."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from codeact_bot import log
from codeact_bot.settings import load
from codeact_bot.types import Ending
from tests import openai_server
from tests.operations.worker import ANN, FIXED, THREAD, Room, working

Form = Literal["text", "json"]
Configure = Callable[[Form], Path]
SECRETS = {
    "openai_api_key": "sk-secret-of-the-model-4711",
    "slack_signing_secret": "signing-secret-of-slack-4711",
    "discord_token": "token.of.discord-4711",
    "metrics_token": "metrics-token-4711",
    "web_secret": "web-secret-of-the-site-4711",
}
QUESTION = "What is 2 to the power of 100, and may Zaphod know it?"
BREAKING = "Let me say sk-secret-of-the-model-4711.\n\n```python\nTrillian = 1\nprint(power, 'Slartibartfast')\n```\n"


@pytest.fixture
def configure(tmp_path: Path) -> Iterator[Configure]:
    """Configures the log into a file, which it returns; the log is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []

    def into(form: Form) -> Path:
        log.configure("info", tmp_path / "log", form)
        return tmp_path / "log"

    yield into
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)
    for package in ("codeact_bot", "adapters"):
        logging.getLogger(package).setLevel(logging.NOTSET)


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the records of a log in JSON."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_record_is_one_object_on_one_line_whatever_is_in_it(configure: Configure) -> None:
    file = configure("json")
    fields = {"action": "turn", "conversation": THREAD, "turn": "t1", "step": 3}
    logging.getLogger("codeact_bot.test").warning('two\nlines, "quotes" and \x1b[31m', extra=fields)
    (record,) = lines(file)
    assert record == {"time": record["time"], "level": "warning", "message": 'two\nlines, "quotes" and \x1b[31m', "logger": "codeact_bot.test", **fields}
    assert datetime.fromisoformat(record["time"]).utcoffset() == timedelta(0)
    assert "\x1b" not in file.read_text()


def test_an_exception_comes_with_its_traceback(configure: Configure) -> None:
    file = configure("json")
    try:
        raise RuntimeError("a fault")
    except RuntimeError:
        logging.getLogger("codeact_bot.test").exception("It failed")
    (record,) = lines(file)
    assert record["level"] == "error"
    assert record["exception"].startswith("Traceback (most recent call last)")
    assert record["exception"].endswith("RuntimeError: a fault")


def test_text_stays_as_it_was(configure: Configure) -> None:
    file = configure("text")
    logging.getLogger("codeact_bot.test").info("Done", extra={"action": "turn", "turn": "t1"})
    assert file.read_text().partition(" ")[2] == "info Done action=turn turn=t1\n"


def test_the_setting_chooses_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().log_format == "text"
    monkeypatch.setenv("CODEACT_LOG_FORMAT", "json")
    assert load().log_format == "json"


@pytest.mark.needs("mongo")
@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_turn_logs_its_steps_and_its_end_and_nothing_that_anybody_wrote(
    tmp_path: Path, mongo_url: str, configure: Configure, form: Form
) -> None:
    """A turn with an error and its correction, one whose model is away, and a platform that fails; no secret, no text of a person, no code, no output."""
    file = configure(form)
    with openai_server.running(first=BREAKING, code=FIXED) as model:
        async with working(tmp_path / "one", mongo_url, openai_base_url=model, **SECRETS) as worker:
            turn = await worker.room.ask(QUESTION)
            assert turn.outcome is not None
            assert turn.outcome.ending is Ending.ANSWERED
    async with working(tmp_path / "two", mongo_url, openai_base_url=model, **SECRETS) as worker:
        failed = await worker.room.ask(QUESTION)
        assert failed.outcome is not None
        assert failed.outcome.ending is Ending.FAILED
    written = file.read_text()
    for text in (*SECRETS.values(), "Zaphod", ANN.name, "Trillian", "Slartibartfast", "2**100", openai_server.RESULT, "forgot", "is not defined"):
        assert text not in written
    if form == "json":
        records = [record for record in lines(file) if record["level"] == "info"]
        ran = [record for record in records if record.get("action") == "execution"]
        assert [(record["turn"], record["step"], record["message"].partition(",")[0]) for record in ran] == [
            (turn.id, 0, "Code ran: error (NameError)"),
            (turn.id, 1, "Code ran: ok"),
        ]
        ended = [record for record in records if record.get("action") == "turn"]
        assert [(record["turn"], record["conversation"], record["message"].partition(",")[0]) for record in ended] == [
            (turn.id, THREAD, "A turn ended: answered"),
            (failed.id, THREAD, "A turn ended: failed"),
        ]


@pytest.mark.needs("mongo")
async def test_a_fault_of_a_platform_is_logged_without_what_was_asked(
    tmp_path: Path, mongo_url: str, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = configure("json")

    async def broken(room: Room, turn: object) -> Any:
        monkeypatch.undo()
        raise RuntimeError("the platform's library has a fault")

    monkeypatch.setattr(Room, "reply", broken)
    with openai_server.running() as model:
        async with working(tmp_path, mongo_url, openai_base_url=model, **SECRETS) as worker:
            await worker.room.ask(QUESTION)
    (fault,) = [record for record in lines(file) if "exception" in record]
    assert (fault["level"], fault["action"], fault["conversation"]) == ("error", "turn", THREAD)
    assert "the platform's library has a fault" in fault["exception"]
    assert "Zaphod" not in file.read_text()
