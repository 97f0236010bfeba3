"""Logging: one line per record, with an action and the ids of conversation and turn; never a secret, never a person's text at info level."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

FIELDS = ("action", "conversation", "turn", "step")


class Line(logging.Formatter):
    """`2026-11-24T00:10:04 warning message action=… conversation=…`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, followed by its traceback where it has one."""
        fields = "".join(f" {name}={getattr(record, name)}" for name in FIELDS if hasattr(record, name))
        text = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')} {record.levelname.lower()} {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure(level: str, file: Path | None = None) -> None:
    """Send codeact-bot's own records, and warnings of libraries, to `file` or to standard error."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8") if file is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("codeact_bot", "adapters"):
        logging.getLogger(package).setLevel(level.upper())
