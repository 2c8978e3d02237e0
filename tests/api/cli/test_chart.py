"""The picture of a back-test: a bar a month, and names as far as there is room."""

from decimal import Decimal
from xml.etree import ElementTree

import pytest

from api.cli.chart import NAMED_MOST, by_month
from projections.analysis.consequences import Month

SVG = "{http://www.w3.org/2000/svg}"
FRAME = 3
"""The ground, and the two keys of the colours."""


@pytest.mark.parametrize("count", [0, 1, NAMED_MOST, 5 * NAMED_MOST])
def test_every_month_has_its_bar_and_some_have_their_name(count: int) -> None:
    months = [
        Month(f"{2000 + n // 12}-{n % 12 + 1:02}", Decimal(100 + n), Decimal(n))
        for n in range(count)
    ]
    picture = ElementTree.fromstring(by_month(months))
    bars = picture.findall(f"{SVG}rect")[FRAME:]
    names = [each.text for each in picture.findall(f"{SVG}text") if "transform" in each.attrib]
    assert len(bars) == 2 * count
    assert len(names) == min(count, NAMED_MOST)
    assert names[:1] == [each.month for each in months[:1]]
    for whole, stricter in zip(bars[::2], bars[1::2], strict=True):
        assert float(whole.attrib["height"]) >= float(stricter.attrib["height"])
