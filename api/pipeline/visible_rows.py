"""Which rows a caller sees, and which they name, as conditions in SQL."""

from typing import Any

from api.pipeline.conditions import ONE, Filter, Test
from api.pipeline.filters import all_of
from api.pipeline.rights import Rights
from api.pipeline.routes import List
from projections.audit import AuditLog
from projections.catalogue import TABLES
from projections.tables.table import Row
from rim_ledger.approvals.proposal import Proposal
from rim_ledger.values import BUSINESS_ID, UUID_TEXT


def belonging(route: List, column: str, owner: Test, rights: Rights) -> Test:
    """The test for rows of an owner, or of something of theirs that the caller sees."""
    known, owners = owner
    if not route.through:
        return f"t.{column} = {known}", owners
    texts, values = ["SELECT NULL::uuid"], list[Any]()
    for row, by, right in route.through:
        if rights.may(*right):
            where, more = all_of([(f"t.{by} = {known}", owners), *seen(row, rights)])
            texts.append(f"SELECT t.id FROM read.{row.TABLE} t WHERE {where}")  # noqa: S608
            values += more
    return f"t.{column} IN ({' UNION ALL '.join(texts)})", values


def seen(row: type[Row], rights: Rights) -> list[Test]:
    """The test for the rows that the caller sees, where that is not all of them. What a borrower
    sees that has no owner by itself is reached through something that has."""
    if rights.own:
        where = f"t.{row.PERSON} = %s" if row.PERSON else row.BORROWERS
        return [(where, [rights.actor.id] * where.count("%s"))] if where else []
    if row.OF is AuditLog:
        return _audited(rights)
    if row.OF is Proposal:
        return _proposed(rights)
    if row.VISIBILITY is None or rights.may(*row.VISIBILITY.all):
        return []
    return [(row.VISIBILITY.where, [rights.actor.id] * row.VISIBILITY.where.count("%s"))]


def owned(row: type[Row], rights: Rights) -> list[Filter]:
    """These tests as filters of a list: those of a borrower lead to their rows, and each way in
    which a row may be seen to the rows that no other way led to."""
    tests = seen(row, rights)
    if rights.own and row.PERSON:
        return [Filter(test, row.PERSON, (test,), share=ONE) for test in tests]
    if row.VISIBILITY and tests:
        ways, caller = row.VISIBILITY.ways, rights.actor.id
        each = [
            " AND ".join([f"({way})", *(f"({former}) IS NOT TRUE" for former in ways[:nth])])
            for nth, way in enumerate(ways)
        ]
        return [Filter(tests[0], each=tuple((way, [caller] * way.count("%s")) for way in each))]
    return [Filter(test) for test in tests]


def _audited(rights: Rights) -> list[Test]:
    """The tests for audit rows: each is about something that the caller may read, and sees."""
    tests = list[Test]()
    if rights.reads != rights.entities.keys():
        tests.append(("t.entity = ANY (%s)", [sorted(rights.reads)]))
    for row in TABLES.values():
        if row.VISIBILITY and (more := seen(row, rights)):
            where, values = all_of(more)
            known = f"SELECT t.id FROM read.{row.TABLE} t WHERE {where}"  # noqa: S608
            name = row.OF.__name__
            tests.append((f"(t.entity <> %s OR t.entity_id IN ({known}))", [name, *values]))
    return tests


def _proposed(rights: Rights) -> list[Test]:
    """The test for proposals: each is about something that the caller may read, or their own."""
    if rights.reads == rights.entities.keys():
        return []
    return [("(t.entity = ANY (%s) OR t.maker = %s)", [sorted(rights.reads), rights.actor.id])]


def named(row: type[Row], column: str, text: str) -> Test:
    """The test for a value in a path. What cannot be there is not found, rather than refused."""
    if column != "id" and "\0" not in text:
        return f"t.{column} = %s", [text]
    if UUID_TEXT.fullmatch(text):
        return "t.id = %s::uuid", [text]
    if row.BUSINESS_ID and BUSINESS_ID.fullmatch(text):
        return f"t.{row.BUSINESS_ID} = %s", [text]
    return "false", []
