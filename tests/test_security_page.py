"""The page on security speaks of every requirement of the standard, and of each once."""

import re
from collections import Counter

from tests.golden import HERE
from tests.reference import DOCS

REQUIREMENT = re.compile(r"\d+\.\d+\.\d+")
JUDGEMENTS = {"met", "partly", "yours", "not"}


def test_every_requirement_of_levels_1_and_2_is_judged_once() -> None:
    """The numbers are those of OWASP ASVS 5.0.0."""
    wanted = (HERE / "asvs-5.0.0.txt").read_text().split()
    page = (DOCS.parent / "explanation" / "security.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    named = Counter(each for row in rows for each in REQUIREMENT.findall(row[0]))
    assert named == Counter(wanted)
    judged = {row[2] for row in rows if len(row) == 4 and REQUIREMENT.match(row[0])}
    assert judged == JUDGEMENTS
