"""Files that pin what others rely on. `make golden` writes them anew; the diff is the review."""

import os
from pathlib import Path

HERE = Path(__file__).parent


def pinned(name: str, text: str, place: Path = HERE) -> str:
    """The text that is pinned under a name; while GOLDEN=write is set, first pin this one."""
    path = place / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    return path.read_text()
