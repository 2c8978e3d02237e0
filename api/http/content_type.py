"""Checks the Content-Type of a body: media type and charset."""

from collections.abc import Mapping
from email.message import Message
from functools import lru_cache
from typing import Final

from api.http.problem import WrongType

UTF_8: Final = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8"}
"""Spellings of a charset, and Python's codec."""
OF_TEXT: Final = UTF_8 | {
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
}
"""The same for text files, which many programs write."""


def require_media_type(
    headers: Mapping[bytes, bytes], wanted: bytes, charsets: Mapping[str, str] = UTF_8
) -> str | None:
    """Require a media type; gives Python's codec of the named charset, None if none is named.

    Raises WrongType for another media type or charset.
    """
    named, given = _said(headers.get(b"content-type", b""))
    if named != wanted.decode():
        words = f"This path reads {wanted.decode()}; the Content-Type says otherwise."
        raise WrongType("unsupported-media-type", words)
    if not given:
        return None
    known = {charsets.get(each) for each in given}
    if len(known) > 1 or None in known:
        names = "utf-8" if charsets is UTF_8 else "utf-8, utf-16, windows-1252 or iso-8859-1"
        words = f"This path reads {wanted.decode()} with charset={names}, or without charset."
        raise WrongType("unsupported-media-type", words)
    return known.pop()


@lru_cache(1000)
def _said(content_type: bytes) -> tuple[str, frozenset[str]]:
    """Parse a header into the media type and its charsets."""
    message = Message()
    message["content-type"] = content_type.decode("latin-1")
    (named, _), *parameters = message.get_params([("", "")])
    charsets = {str(value).lower() for name, value in parameters if name.lower() == "charset"}
    return named.lower(), frozenset(charsets)
