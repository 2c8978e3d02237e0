"""Names that an earlier release took, brought up to date."""

import psycopg

from rim_ledger.engine.environment import uuid7
from rim_ledger.postgres.migrations import migrate
from rim_ledger.text import folded

OLD = ["Café", "Cafe\u0301 Two", "ﬁnance", "Ａccounts", "Ad\u200ba", "℡ desk", "A  b", "plain"]


def test_names_of_an_earlier_release_are_held_in_all_their_spellings(database: str) -> None:
    holders = {name: uuid7(number, bytes(10)) for number, name in enumerate(OLD, 1)}
    later = uuid7(99, bytes(10))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM public.migrations WHERE name = '0016_names.sql'")
        insert = "INSERT INTO ledger.claims VALUES (%s, %s, %s)"
        for name, holder in holders.items():
            connection.execute(insert, ["department-name", name.casefold(), holder])
        connection.execute(insert, ["department-name", "cafe\u0301", later])
        connection.execute(insert, ["user-phone", "AB", later])

    assert migrate(database) == ["0016_names.sql"]

    with psycopg.connect(database) as connection:
        claims = {
            (kind, name): holder
            for kind, name, holder in connection.execute("SELECT * FROM ledger.claims")
        }
    for name, holder in holders.items():
        assert claims["department-name", folded(name)] == holder, name
        assert claims["department-name", name.casefold()] == holder
    assert claims["department-name", "cafe\u0301"] == later
    assert claims["user-phone", "AB"] == later
    assert ("user-phone", "ab") not in claims
