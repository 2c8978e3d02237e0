"""An SVG chart of the principal lent per month, and what a stricter policy would review of it."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from math import ceil

from projections.analysis.consequences import Month

WIDTH, HEIGHT, LEFT, FOOT, TOP = 720, 300, 80, 56, 34
NAMED_MOST = 24
"""Above this number, not every month is labelled."""
KEPT, ASKED = "#b9c9dd", "#b5482a"


def by_month(months: Sequence[Month]) -> str:
    """Give an SVG with a bar for each month: the principal, and darker the part to be reviewed."""
    most = max((each.principal for each in months), default=Decimal(1))
    step = (WIDTH - LEFT) / max(1, len(months))
    bars = chain.from_iterable(_bar(n, each, step, most) for n, each in enumerate(months))
    every = ceil(len(months) / NAMED_MOST) or 1
    names = [_name(n, months[n], step) for n in range(0, len(months), every)]
    space = "http://www.w3.org/2000/svg"
    return "\n".join(
        [
            f'<svg xmlns="{space}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<style>text { font: 11px sans-serif }</style>",
            "<title>Naira lent a month, and what of it is decided more strictly</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<rect x="{LEFT}" y="8" width="11" height="11" fill="{KEPT}"/>',
            f'<text x="{LEFT + 16}" y="18">lent, and decided as before</text>',
            f'<rect x="{LEFT + 190}" y="8" width="11" height="11" fill="{ASKED}"/>',
            f'<text x="{LEFT + 206}" y="18">lent, and decided more strictly</text>',
            *(_scale(share, most) for share in (0, 1, 2)),
            *bars,
            *names,
            "</svg>\n",
        ]
    )


def _height(naira: Decimal, most: Decimal) -> float:
    return float(naira / most) * (HEIGHT - FOOT - TOP)


def _scale(halves: int, most: Decimal) -> str:
    naira = most * halves / 2
    y = HEIGHT - FOOT - _height(naira, most)
    words = f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{naira:,.0f}</text>'
    return f'<path d="M{LEFT} {y:.1f}H{WIDTH}" stroke="#ddd"/>{words}'


def _bar(number: int, month: Month, step: float, most: Decimal) -> list[str]:
    x, width, foot = LEFT + number * step + step * 0.1, step * 0.8, HEIGHT - FOOT
    parts = []
    for naira, colour in ((month.principal, KEPT), (month.stricter, ASKED)):
        height = _height(naira, most)
        parts.append(
            f'<rect x="{x:.1f}" y="{foot - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" fill="{colour}"/>'
        )
    return parts


def _name(number: int, month: Month, step: float) -> str:
    x, y = LEFT + (number + 0.5) * step, HEIGHT - FOOT + 14
    turn = f'transform="rotate(-45 {x:.1f} {y})"'
    return f'<text x="{x:.1f}" y="{y}" text-anchor="end" {turn}>{month.month}</text>'
