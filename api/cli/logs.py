"""Log format: text or JSON lines, each with time, process and request id."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from api.http.call import REQUEST

PROCESS: Final = "rim_ledger.process"
"""Logger of a process's own messages, such as its start."""
FORMAT: Final = "RIM_LOG_FORMAT"


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Line(logging.Formatter):
    """`2026-11-30T09:00:00.000Z WARNING serve[4711] what happened (request 0190…)`"""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; a traceback follows on further lines."""
        about = f" (request {request})" if (request := REQUEST.get()) else ""
        head = f"{_time(record)} {record.levelname} {self.process}[{record.process}]"
        return f"{head} {super().format(record)}{about}"


class JsonLine(Line):
    """The same fields as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "process": self.process,
            "pid": record.process,
            "message": logging.Formatter.format(self, record),
        }
        if request := REQUEST.get():
            values["requestId"] = request
        return json.dumps(values | getattr(record, "fields", {}))


def configure(process: str) -> None:
    """Log to standard error in the configured format, and set `application_name` in PostgreSQL to
    `rim-ledger` and the process's name."""
    os.environ["PGAPPNAME"] = f"rim-ledger {process}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(process) if in_json() else Line(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # We log it once ourselves.


def in_json() -> bool:
    """True if RIM_LOG_FORMAT is JSON. Read before the settings, which validate it."""
    values = {name.upper(): value for name, value in os.environ.items()}
    return values.get(FORMAT) == "json"


def report(line: str, file: TextIO, level: int = logging.INFO) -> None:
    """Write a line to the operator, as text or as a log record."""
    if in_json():
        logging.getLogger(PROCESS).log(level, line)
    else:
        print(f"rim-ledger: {line}", file=file, flush=True)


def started() -> None:
    """Log that the process has started."""
    logging.getLogger(PROCESS).info("started")
