"""How often each caller may ask, and what every answer says of it."""

from collections.abc import Container

import httpx
import pytest

from api.http.call import Call
from api.http.rate import UNREAD_MAX, Rates
from api.pipeline.health import PROBES
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.refusals import Refused
from tests.api.conftest import Client

WORLD = SystemEnvironment()


def _call(ip: str = "192.0.2.1", token: str = "") -> Call:
    async def unused(*_: object) -> None: ...

    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": headers}
    return Call(scope | {"client": (ip, 1)}, unused, unused, WORLD, ())  # type: ignore[arg-type]


def _asks(rates: Rates, call: Call, known: Container[str] = (), now: float = 0.0) -> str:
    """What the answer would say."""
    rates.note(call, known, now)
    return dict(call.limits)[b"ratelimit"].decode()


def test_a_caller_may_ask_so_often_in_a_minute_and_then_again() -> None:
    rates, call = Rates(2), _call(token="mine")
    known = {call.token_hash}
    assert _asks(rates, call, known, 100.0) == '"caller";r=1;t=60'
    assert _asks(rates, call, known, 130.0) == '"caller";r=0;t=30'
    with pytest.raises(Refused) as refused:
        rates.note(call, known, 159.5)
    assert refused.value.more == {"retryAfter": 1}
    assert dict(call.limits)[b"ratelimit"] == b'"caller";r=0;t=1', "a refusal tells it too"
    assert _asks(rates, call, known, 160.0) == '"caller";r=1;t=60'


def test_each_token_that_was_admitted_counts_by_itself() -> None:
    rates, mine, yours = Rates(1), _call(token="mine"), _call(token="yours")
    known = {mine.token_hash, yours.token_hash}
    _asks(rates, mine, known)
    _asks(rates, yours, known)
    with pytest.raises(Refused):
        _asks(rates, mine, known)


def test_tokens_that_are_made_up_count_for_the_address_that_sends_them() -> None:
    rates = Rates(20)
    assert _asks(rates, _call(token="a")).startswith('"address";r=1;')
    assert _asks(rates, _call(token="b")).startswith('"address";r=0;')
    with pytest.raises(Refused, match="2 times a minute"):
        _asks(rates, _call(token="c"))
    assert _asks(rates, _call(ip="192.0.2.2")).startswith('"address";r=1;')


def test_of_ipv6_a_whole_network_of_64_bits_is_one_address() -> None:
    rates = Rates(10)
    _asks(rates, _call(ip="2001:db8::1"))
    with pytest.raises(Refused):
        _asks(rates, _call(ip="2001:db8::ffff:2"))
    _asks(rates, _call(ip="2001:db8:0:1::1"))


def test_however_many_callers_there_are_the_counts_stay_few() -> None:
    rates = Rates(20, callers_max=3)
    for number in range(5):
        _asks(rates, _call(ip=f"192.0.2.{number}"))
    with pytest.raises(Refused):
        _asks(rates, _call(ip="192.0.2.9"))
    _asks(rates, _call(ip="192.0.2.0"))  # Who was there before is not troubled,
    known = _call(token="mine")  # nor who has a session.
    assert _asks(rates, known, {known.token_hash}).startswith('"caller";r=19;')
    assert len(rates._asked) == 5


def test_zero_counts_nobody() -> None:
    call = _call()
    Rates(0).note(call, (), 0.0)
    assert call.limits == []


@pytest.mark.parametrize("most", [0, 10])
def test_one_caller_has_so_many_bytes_on_their_way_whatever_they_may_ask(most: int) -> None:
    rates, mine, yours = Rates(most), _call(token="mine"), _call(token="yours")
    person = WORLD.new_id()
    known = {mine.token_hash: person, yours.token_hash: person}
    with rates.room(mine, known, UNREAD_MAX - 1):
        with rates.room(yours, known, 1), pytest.raises(Refused, match="at once"):
            rates.room(mine, known, 1).__enter__()
        with pytest.raises(Refused):
            rates.room(yours, known).__enter__()
        with rates.room(_call(), known):  # Who is not known counts by the address.
            pass
    with rates.room(mine, known, UNREAD_MAX + 1):  # One answer may always go.
        pass
    assert not rates._unread


async def test_answers_tell_what_is_left_and_then_that_nothing_is(admin: Client) -> None:
    assert (await admin.get("/v1/auth/me")).is_success, "the token is admitted"
    admin.app.state.context.rates = Rates(30)
    first = await admin.get("/v1/auth/me")
    assert first.headers["ratelimit-policy"] == '"caller";q=30;w=60'
    assert first.headers["ratelimit"].startswith('"caller";r=29;t=')
    missing = await admin.get("/v1/nothing")
    assert missing.headers["ratelimit"].startswith('"caller";r=28;t=')
    bulk = await admin.post("/v1/bulk", headers={"content-type": "application/x-ndjson"})
    assert bulk.headers["ratelimit"].startswith('"caller";r=27;t='), "streams tell it too"
    answers: list[httpx.Response] = [await admin.http.get("/v1/users") for _ in range(4)]
    assert [each.status_code for each in answers] == [401, 401, 401, 429]
    assert answers[0].headers["ratelimit-policy"] == '"address";q=3;w=60'
    refused = answers[-1]
    assert refused.json()["code"] == "rate-limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["retry-after"] == refused.headers["ratelimit"].rpartition("=")[2]
    assert (await admin.get("/v1/auth/me")).status_code == 200, "who is known is not troubled"
    for path in PROBES:
        probe = await admin.http.get(path)
        assert probe.status_code == 200, "nor who watches over the service"
        assert "ratelimit" not in probe.headers
