"""Logging: one line per record, with an action and the ids of conversation, turn and step; never a secret, never a person's text at info level."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

FIELDS = ("action", "conversation", "turn", "step")


class Line(logging.Formatter):
    """`2026-11-24T00:10:04 warning message action=… conversation=…`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, followed by its traceback where it has one."""
        fields = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        text = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')} {record.levelname.lower()} {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonLine(logging.Formatter):
    """`{"time": "2026-11-24T00:10:04.123+00:00", "level": "warning", "message": …, "logger": …, "action": …}`, on one line whatever is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object; `exception` is its traceback, where it has one."""
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **fields_of(record),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record is about."""
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


def line(text: str, action: str) -> str:
    """Return what the program says by itself as a line among those of the log: the text, or an object where the log is in JSON."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonLine):
            said = {"name": "codeact_bot", "levelno": logging.INFO, "levelname": "INFO", "msg": text, "action": action}
            return handler.formatter.format(logging.makeLogRecord(said))
    return text


def configure(level: str, file: Path | None = None, form: Literal["text", "json"] = "text") -> None:
    """Send codeact-bot's own records, and warnings of libraries, to `file` or to standard error."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8") if file is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if form == "json" else Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("codeact_bot", "adapters"):
        logging.getLogger(package).setLevel(level.upper())
