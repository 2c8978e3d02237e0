"""Content negotiation: the media type that an Accept header prefers (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rim_ledger.engine.refusals import Refused

ELEMENT: Final = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|\Z))+', re.DOTALL)
"""A list element; an unterminated quoted string extends to the end."""
TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
RANGE: Final = re.compile(rb"\s*(" + TOKEN + rb")/(" + TOKEN + rb")\s*((?:;.*)?)", re.DOTALL)
WEIGHT: Final = re.compile(rb";\s*[qQ]\s*=\s*([^;\s]*)")
QUALITY: Final = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class NotAcceptable(Refused):
    """The request accepts none of the route's media types."""


class Range(NamedTuple):
    """A media range: its weight (0 to 1) and its place in the header."""

    type: bytes
    subtype: bytes
    quality: float
    place: int

    def fits(self, offer: bytes) -> int:
        """Specificity of a match: 3 exact, 2 by type, 1 any, 0 none."""
        kind, _, subtype = offer.partition(b"/")
        if (self.type, self.subtype) == (b"*", b"*"):
            return 1
        if self.type != kind:
            return 0
        return {subtype: 3, b"*": 2}.get(self.subtype, 0)


def preferred(accept: bytes | None, offers: Sequence[bytes]) -> bytes:
    """Give the offer that an Accept header prefers; the first, for a missing or malformed header.
    Equal weights are decided by specificity, then by order.

    Raises NotAcceptable when none is accepted.
    """
    ranges = list(_ranges(accept or b""))
    if not ranges:
        return offers[0]
    wanted = {offer: _wanted(ranges, offer) for offer in offers}
    best = max(offers, key=lambda offer: wanted[offer])
    if not wanted[best][0]:
        words = f"This path gives {', '.join(offer.decode() for offer in offers)}."
        raise NotAcceptable("not-acceptable", words)
    return best


def _wanted(ranges: Sequence[Range], offer: bytes) -> tuple[float, int, int]:
    """Weight of an offer, taken from the most specific range, then specificity and order."""
    closest = max(ranges, key=lambda each: (each.fits(offer), each.quality))
    fit = closest.fits(offer)
    return (closest.quality if fit else 0.0), fit, -closest.place


def _ranges(header: bytes) -> Iterator[Range]:
    """The media ranges of a header; malformed ones are skipped."""
    for place, element in enumerate(ELEMENT.findall(header)):
        if (found := RANGE.fullmatch(element)) is None:
            continue
        weight = WEIGHT.search(found[3])
        quality = weight[1] if weight else b"1"
        if QUALITY.fullmatch(quality):
            yield Range(found[1].lower(), found[2].lower(), float(quality), place)
