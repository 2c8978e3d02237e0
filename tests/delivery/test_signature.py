"""Standard Webhooks, by their own example and by everything that must not pass."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from rim_ledger.delivery.signature import SignedMessage, sign, signing_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime.fromtimestamp(1614265330, UTC)
SIGNED = SignedMessage(
    id="msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestamp="1614265330",
    signatures="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    body=b'{"test": 2432232314}',
)


def test_the_published_example_is_signed() -> None:
    assert SIGNED.is_signed(SECRET, NOW)
    assert sign(SECRET, SIGNED.id, SIGNED.timestamp, SIGNED.body) == SIGNED.signatures


def test_one_right_signature_among_several_is_enough() -> None:
    among = f"v1,AAAA v1a,{SIGNED.signatures[3:]} {SIGNED.signatures}"
    assert replace(SIGNED, signatures=among).is_signed(SECRET, NOW)


@pytest.mark.parametrize("late", [-300, 300])
def test_five_minutes_either_way_are_tolerated(late: int) -> None:
    assert SIGNED.is_signed(SECRET, datetime.fromtimestamp(1614265330 + late, UTC))
    assert not SIGNED.is_signed(SECRET, datetime.fromtimestamp(1614265331 + 2 * late, UTC))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "msg_other"},
        {"id": "msg \xe9"},
        {"timestamp": ""},
        {"timestamp": "1614265331"},
        {"timestamp": "9" * 400},
        {"timestamp": "１６１４２６５３３０"},
        {"signatures": ""},
        {"signatures": "v1,"},
        {"signatures": "\xff,\xfe"},
        {"signatures": SIGNED.signatures[3:]},
        {"signatures": "v2" + SIGNED.signatures[2:]},
        {"body": b'{"test": 2432232315}'},
    ],
)
def test_whatever_was_changed_is_not_signed(change: dict[str, str]) -> None:
    assert not replace(SIGNED, **change).is_signed(SECRET, NOW)


def test_another_secret_did_not_sign_it() -> None:
    assert not SIGNED.is_signed("whsec_" + "A" * 32, NOW)


def test_a_secret_without_the_prefix_is_taken_as_it_is() -> None:
    assert signing_key("plain secret") == b"plain secret"
    with pytest.raises(ValueError, match="not base64"):
        signing_key("whsec_not base64!")
