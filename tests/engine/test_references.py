"""Claims of an older ledger get the names that references and statement lines have now."""

import psycopg
import pytest

from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.payments.claim_names import line_claim, reference_claim
from rim_ledger.postgres.migrations import migrate

SCRIPT = "0019_payment_references.sql"
FORMER = [
    ("payment-reference", '["Pay-Stack","R-1/a"]', reference_claim("paystack", "r-1/A")),
    ("payment-reference", '["bank_transfer","X\\"9"]', reference_claim("Bank Transfer", 'x"9')),
    ("payment-reference", '[null,"AIR-1"]', reference_claim(None, "air-1")),
    ("payment-reference", '["--","R-1"]', reference_claim("--", "R-1")),
    ("payment-reference", '["ｐaystack","R-2"]', reference_claim("paystack", "R-2")),
    ("payment-reference", '["Pay\\tStack","R  1 "]', reference_claim("paystack", " r 1")),
    ("statement-line", "ABCDEF/7", line_claim("abcdef/7")),
    ("token", "Not-Touched", ("token", "Not-Touched")),
]


def claims(url: str) -> dict[tuple[str, str], object]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute("SELECT kind, name, stream_id FROM ledger.claims")
        return {(kind, name): stream for kind, name, stream in cursor}


def migrated(url: str, rows: list[tuple[str, str, object]]) -> dict[tuple[str, str], object]:
    """The claims after the script, given those before it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM migrations WHERE name = %s", [SCRIPT])
        connection.cursor().executemany("INSERT INTO ledger.claims VALUES (%s, %s, %s)", rows)
    assert migrate(url) == [SCRIPT]
    return claims(url)


@pytest.mark.parametrize(("kind", "name", "claim"), FORMER)
def test_a_claim_keeps_its_holder_under_its_normal_name(
    database: str, kind: str, name: str, claim: tuple[str, str]
) -> None:
    holder = SystemEnvironment().new_id()
    assert migrated(database, [(kind, name, holder)]) == {claim: holder}


def test_of_claims_that_come_to_one_name_the_newest_stays(database: str) -> None:
    environment = SystemEnvironment()
    older, newer = sorted(environment.new_id() for _ in range(2))
    rows: list[tuple[str, str, object]] = [
        ("payment-reference", '["Paystack","R-1"]', newer),
        ("payment-reference", '["paystack","r-1"]', older),
        ("payment-reference", '["pay stack","R-1"]', older),
    ]
    assert migrated(database, rows) == {reference_claim("paystack", "R-1"): newer}
