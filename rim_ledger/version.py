"""The version of the program, as it was installed."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("rim-ledger")
"""What `--version`, `/healthz`, the descriptions and the metrics tell."""
