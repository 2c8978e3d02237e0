"""Where a request comes from, as far as proxies that are trusted say."""

from ipaddress import ip_network

import pytest

from api.http.call import Call
from tests.spec import TestWorld

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:f::/48"))
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "hops", "expected"),
    [
        (PROXY, "203.0.113.9", "203.0.113.9"),
        (PROXY, "203.0.113.9:51234", "203.0.113.9"),
        (PROXY, "[2001:db8::1]:443", "2001:db8::1"),
        (PROXY, "[2001:db8::1]", "2001:db8::1"),
        (PROXY, "2001:db8::1", "2001:db8::1"),
        (PROXY, "2001:DB8:0::1", "2001:db8::1"),
        (PROXY, "[::ffff:203.0.113.9]:80", "203.0.113.9"),
        (PROXY, "198.51.100.7, 203.0.113.9:51234", "203.0.113.9"),
        (PROXY, "203.0.113.9:1,\t10.0.0.2:443", "203.0.113.9"),
        (PROXY, "203.0.113.9:1,[2001:db8:f::2]:443 , 10.0.0.2", "203.0.113.9"),
        (PROXY, "unknown", PROXY),
        (PROXY, "_hidden, 10.0.0.2:5", "10.0.0.2"),
        (PROXY, "203.0.113.9:", PROXY),
        (PROXY, "203.0.113.9:123456", PROXY),
        (PROXY, "203.0.113.9:80:80", PROXY),
        (PROXY, "203.0.113.999:80", PROXY),
        (PROXY, "[203.0.113.9", PROXY),
        (PROXY, "2001:db8::1]", PROXY),
        (PROXY, "[2001:db8::1]443", PROXY),
        (PROXY, "", PROXY),
        ("192.0.2.1", "203.0.113.9:51234", "192.0.2.1"),
        ("2001:db8:f::1", "203.0.113.9:51234", "203.0.113.9"),
        ("", "203.0.113.9", None),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_no_trusted_proxy(
    peer: str, hops: str, expected: str | None
) -> None:
    async def nothing(*_: object) -> None: ...

    scope = {
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"x-forwarded-for", hops.encode())],
        "client": (peer, 1),
    }
    call = Call(scope, nothing, nothing, TestWorld(), PROXIES)  # type: ignore[arg-type]
    assert call.ip == expected
