"""What is taken as a file: the name and the content must both say so."""

import io

import pytest

from api.http.file_types import media_type, safe_name
from api.http.problem import WrongType
from rim_ledger.engine.refusals import Invalid
from tests.api.routes.files import gif, jpeg, png, webp

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"

GOOD = [
    ("a.png", png(), "image/png"),
    ("a.PNG", png(), "image/png"),
    ("a.jpg", jpeg(), "image/jpeg"),
    ("a.jpg", b"\xff\xd8\xff\xff" + jpeg()[2:], "image/jpeg"),
    ("a.jpeg", jpeg(3000, 4000), "image/jpeg"),
    ("a.gif", gif(), "image/gif"),
    ("a.webp", webp(kind=b"VP8X"), "image/webp"),
    ("a.webp", webp(kind=b"VP8L"), "image/webp"),
    ("a.webp", webp(kind=b"VP8 "), "image/webp"),
    ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
    ("a.txt", "₦5,000 — and <script> as text".encode(), "text/plain; charset=utf-8"),
    ("a.csv", b"date,amount\n2026-01-05,5\n", "text/csv; charset=utf-8"),
    ("no.html.txt", b"words", "text/plain; charset=utf-8"),
]
BAD = [
    ("a.svg", SVG),
    ("a.html", HTML),
    ("a.exe", b"MZ"),
    ("passwd", b"root:x:0:0"),
    ("png", png()),
    ("a.png", HTML),
    ("a.png", SVG),
    ("a.png", gif()),
    ("a.png", png()[:20]),
    ("a.jpg", png()),
    ("a.jpg", b"\xff\xd8\xff"),
    ("a.jpg", b"\xff\xd8\xff\xe1\0\0" * 9),
    ("a.gif", b"GIF89a"),
    ("a.webp", b"RIFF\0\0\0\0WEBPVP8 "),
    ("a.webp", webp(kind=b"ABCD")),
    ("a.pdf", HTML),
    ("a.txt", b"\n\n" + HTML.lower()),
    ("a.txt", b"\xef\xbb\xbf" + SVG),
    ("a.csv", b"a\0b"),
    ("a.txt", b"\xff\xfe\xfd"),
    ("a.jpg", b"\xff\xd8" + b"\xff\xe0\0\2" * 10_000 + jpeg()[2:]),
    ("a.jpg", b"\xff\xd8" + b"\xff" * 20_000 + jpeg()[2:]),
    ("a.txt", b"ends in half a letter \xe2\x82"),
]
LARGE = [
    ("a.png", png(32_000, 32_000)),
    ("a.png", png(40_000, 1)),
    ("a.jpg", jpeg(40_000, 25_000)),
    ("a.gif", gif(65_000, 16_000)),
    ("a.webp", webp(16_000, 16_000, b"VP8L")),
    ("a.webp", webp(100_000, 10_000)),
]


@pytest.mark.parametrize(("name", "content", "kind"), GOOD)
def test_a_file_is_taken_that_is_what_its_name_says(name: str, content: bytes, kind: str) -> None:
    assert media_type(name, io.BytesIO(content)) == kind


@pytest.mark.parametrize(("name", "content"), BAD)
def test_a_file_is_refused_that_is_not(name: str, content: bytes) -> None:
    with pytest.raises(WrongType) as refusal:
        media_type(name, io.BytesIO(content))
    assert refusal.value.code == "unsupported-attachment"


@pytest.mark.parametrize(("name", "content"), LARGE)
def test_an_image_is_refused_that_claims_to_be_huge(name: str, content: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        media_type(name, io.BytesIO(content))
    assert refusal.value.code == "image-too-large"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\secret.txt", "secret.txt"),
        ("/etc/a.png", "a.png"),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie x.txt"),
        ("photo\u202egnp.txt", "photognp.txt"),
        ('say "hi".txt', "say hi.txt"),
        ("ọjọ́.pdf", "ọjọ́.pdf"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
        ("ọ" * 300 + ".png", "ọ" * 83 + ".png"),
        ("." * 300, ""),
        ("", ""),
    ],
)
def test_a_name_is_kept_without_ways_and_tricks(given: str, kept: str) -> None:
    assert safe_name(given) == kept
