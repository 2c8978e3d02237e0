"""What the declarations come to: SQL, JSON and schemas."""

import pytest

from projections.catalogue import ROW_OF, TABLES
from projections.tables import schema
from projections.tables.columns import Column
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES
from rim_ledger.customers.access import CustomerAccess
from rim_ledger.engine.adopted_secrets import AdoptedSecrets
from rim_ledger.lending.loan import LoanStatus
from rim_ledger.payments.settlement import ProviderClearing
from tests.golden import pinned


def columns() -> list[tuple[type[Row], Column]]:
    return [(row, column) for row in TABLES.values() for column in row.COLUMNS.values()]


def test_every_entity_has_a_table_but_what_is_shown_to_nobody() -> None:
    assert set(ENTITIES) - set(ROW_OF) == {CustomerAccess, AdoptedSecrets, ProviderClearing}


def test_every_column_has_a_source() -> None:
    for row in TABLES.values():
        missing = [c.name for c in row.TAKEN if c.source.split(".")[0] not in dir(row.OF)]
        assert not missing, f"{row.OF.__name__} lacks what {row.TABLE} shows: {missing}"


def test_a_table_refers_only_to_tables_before_it_or_to_itself() -> None:
    order = list(TABLES)
    for row, column in columns():
        source = column.copied.table if column.copied else column.references
        if source:
            assert order.index(source) <= order.index(row.TABLE), f"{row.TABLE}.{column.name}"


def test_the_tables_are_the_golden_ones() -> None:
    statements = [*schema.bare("read"), *schema.finish("read")]
    ddl = "".join(f"{statement};\n" for statement in statements if "COMMENT" not in statement)
    assert ddl == pinned("read_tables.sql", ddl), "the tables changed; make golden accepts that"


def test_a_column_says_what_its_annotation_says() -> None:
    loans = TABLES["loans"].COLUMNS
    assert loans["amount"].sql_type == "numeric(20, 2)"
    assert not loans["amount"].optional
    assert loans["due_date"].optional
    assert loans["due_date"].indexed
    assert loans["loan_id"].unique
    assert loans["user_phone"].personal
    assert loans["status"].words == tuple(status.value for status in LoanStatus)
    assert loans["user_id"].references == "users"
    assert TABLES["loans"].BUSINESS_ID == "loan_id"


@pytest.mark.parametrize("row", TABLES.values(), ids=list(TABLES))
def test_the_schema_of_a_row_speaks_the_language_of_the_wire(row: type[Row]) -> None:
    written = row.model_json_schema(mode="serialization")
    assert list(written["properties"]) == [column.wire for column in row.COLUMNS.values()]
