"""What a process logs: lines for people or JSON for programs, each with time, process, request."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from api.http.call import REQUEST

PROCESS: Final = "rim_ledger.process"
"""The logger of what a process says of itself, such as that it has started."""
FORMAT: Final = "RIM_LOG_FORMAT"


def _time(record: logging.LogRecord) -> str:
    """When it was logged: RFC 3339 in UTC."""
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Line(logging.Formatter):
    """`2026-11-30T09:00:00.000Z WARNING serve[4711] what happened (request 0190…)`"""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line; lines of a traceback follow it."""
        about = f" (request {request})" if (request := REQUEST.get()) else ""
        head = f"{_time(record)} {record.levelname} {self.process}[{record.process}]"
        return f"{head} {super().format(record)}{about}"


class JsonLine(Line):
    """The same as one JSON object, whatever a message holds."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "process": self.process,
            "pid": record.process,
            "message": logging.Formatter.format(self, record),
        }
        if request := REQUEST.get():
            said["requestId"] = request
        return json.dumps(said | getattr(record, "fields", {}))


def configure(process: str) -> None:
    """Log on standard error, in the format that the environment says, as this process; and name
    the process so to PostgreSQL, whose `application_name` is `rim-ledger` and the name."""
    os.environ["PGAPPNAME"] = f"rim-ledger {process}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(process) if in_json() else Line(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # We say it once, and in our words.


def in_json() -> bool:
    """Whether lines are JSON. Before the settings are read, which refuse a format that is none."""
    said = {name.upper(): value for name, value in os.environ.items()}
    return said.get(FORMAT) == "json"


def say(line: str, file: TextIO, level: int = logging.INFO) -> None:
    """Tell whoever runs the command: plainly, or with the log when that is JSON."""
    if in_json():
        logging.getLogger(PROCESS).log(level, line)
    else:
        print(f"rim-ledger: {line}", file=file, flush=True)


def started() -> None:
    """Log that the process is at work."""
    logging.getLogger(PROCESS).info("started")
