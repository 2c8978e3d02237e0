"""The tests. What they import is compiled once, not again by each of their processes."""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
