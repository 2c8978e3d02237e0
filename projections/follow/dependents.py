"""Others' objects on the read tables: grants, views and indexes, as SQL that recreates them.

A rebuild replaces the tables, so whatever depends on them is recreated on the new ones.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from psycopg import AsyncConnection

from projections.catalogue import TABLES, VIEWS
from projections.tables import schema
from rim_ledger.operator_error import OperatorError

OURS: Final = """
SELECT t.oid FROM pg_class t
 WHERE t.relnamespace = to_regnamespace(%(live)s)
   AND (t.relname = %(tracking)s AND t.relkind = 'r'
        OR t.relname = ANY (%(views)s) AND t.relkind = 'v'
        OR t.relkind = 'r' AND (to_regnamespace(%(masked)s) IS NULL OR EXISTS (
           SELECT FROM pg_class v WHERE v.relnamespace = to_regnamespace(%(masked)s)
              AND v.relname = t.relname AND v.relkind = 'v')))
UNION ALL
SELECT v.oid FROM pg_class v JOIN pg_class t USING (relname)
 WHERE v.relnamespace = to_regnamespace(%(masked)s) AND v.relkind = 'v'
   AND t.relnamespace = to_regnamespace(%(live)s) AND t.relkind = 'r'"""
"""The program's own relations: each table has a masked view of the same name. In versions before
those views, all are its own."""

OTHERS_VIEWS: Final = """
WITH RECURSIVE found (oid, depth) AS (
    SELECT unnest(%(ours)s::oid[]), 0
    UNION
    SELECT r.ev_class, f.depth + 1
      FROM found f
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = f.oid
                      AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> f.oid),
deepest AS (
    SELECT oid, max(depth) AS depth FROM found GROUP BY oid)
SELECT c.oid, c.relkind = 'm', format('%%I.%%I', n.nspname, c.relname),
       format('%%I', pg_get_userbyid(c.relowner)), array_to_string(c.reloptions, ', '),
       rtrim(pg_get_viewdef(c.oid), ';'), c.relispopulated
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN deepest d ON d.oid = c.oid
 WHERE c.relkind IN ('v', 'm') AND NOT c.oid = ANY (%(ours)s::oid[])
   AND (d.oid IS NOT NULL OR n.nspname IN (%(live)s, %(masked)s))
 ORDER BY coalesce(d.depth, 0), c.oid"""
"""Views, each after those it reads."""

UNKNOWN: Final = """
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_depend d
  LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
 WHERE d.deptype IN ('n', 'a') AND d.classid <> 'pg_default_acl'::regclass
   AND CASE d.refclassid
       WHEN 'pg_class'::regclass THEN d.refobjid = ANY (%(known)s::oid[])
       WHEN 'pg_type'::regclass THEN d.refobjid IN (
           SELECT unnest(ARRAY[y.oid, y.typarray]) FROM pg_type y
            WHERE y.typrelid = ANY (%(known)s::oid[]))
       WHEN 'pg_namespace'::regclass THEN
           d.refobjid IN (to_regnamespace(%(live)s), to_regnamespace(%(masked)s))
       ELSE false END
   AND NOT coalesce(c.oid = ANY (%(known)s::oid[]) OR c.relkind = 'i', false)
   AND NOT coalesce(r.ev_class = ANY (%(known)s::oid[]) AND r.rulename = '_RETURN', false)
   AND NOT coalesce(k.conrelid = ANY (%(ours)s::oid[]), false)
   AND NOT coalesce(a.adrelid = ANY (%(ours)s::oid[]), false)
   AND NOT coalesce(t.tgisinternal, false)
 ORDER BY 1"""
"""Any other dependency on these relations, their row types or their schemas."""

_GRANTEE: Final = """
CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE format('%%I', pg_get_userbyid(g.grantee)) END
|| CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"""

GRANTS: Final = f"""
SELECT c.oid, format('GRANT %%s ON %%s TO %%s', g.privilege_type, c.oid::regclass, {_GRANTEE})
  FROM pg_class c, aclexplode(c.relacl) g
 WHERE c.oid = ANY (%(known)s::oid[]) AND g.grantee <> c.relowner
UNION ALL
SELECT c.oid, format('GRANT %%s (%%I) ON %%s TO %%s', g.privilege_type, a.attname,
                     c.oid::regclass, {_GRANTEE})
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
 WHERE c.oid = ANY (%(known)s::oid[]) AND g.grantee <> c.relowner
UNION ALL
SELECT 0::oid, format('GRANT %%s ON SCHEMA %%I TO %%s', g.privilege_type, n.nspname, {_GRANTEE})
  FROM pg_namespace n, aclexplode(n.nspacl) g
 WHERE n.nspname IN (%(live)s, %(masked)s) AND g.grantee <> n.nspowner
UNION ALL
SELECT 0::oid, format(w.grants, pg_get_userbyid(d.defaclrole), n.nspname, g.privilege_type,
                      {_GRANTEE})
  FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace,
       aclexplode(d.defaclacl) g,
       (VALUES ('ALTER DEFAULT PRIVILEGES FOR ROLE %%1$I IN SCHEMA %%2$I GRANT %%3$s ON TABLES'
                ' TO %%4$s'), ('GRANT %%3$s ON ALL TABLES IN SCHEMA %%2$I TO %%4$s')) w (grants)
 WHERE n.nspname IN (%(live)s, %(masked)s) AND d.defaclobjtype = 'r'"""

INDEXES: Final = """
SELECT i.indrelid, pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
 WHERE t.oid = ANY (%(known)s::oid[])
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.conrelid = t.oid)
   AND NOT (t.oid = ANY (%(ours)s::oid[]) AND EXISTS (
       SELECT FROM pg_attribute a
        WHERE a.attrelid = t.oid AND x.relname IN (
              t.relname || '_' || a.attname, t.relname || '_' || a.attname || '_compared')))
   AND NOT (t.oid = ANY (%(ours)s::oid[]) AND x.relname = ANY (%(indexes)s::text[]))"""
"""Indexes made by others: the program's own are named after their columns (schema._keys)."""

COMMENTS: Final = """
SELECT d.objoid, format('COMMENT ON %%s IS %%L', CASE WHEN a.attnum IS NULL
       THEN CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW ' ELSE 'VIEW ' END || c.oid::regclass
       ELSE format('COLUMN %%s.%%I', c.oid::regclass, a.attname) END, d.description)
  FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE d.classoid = 'pg_class'::regclass AND c.oid = ANY (%(views)s::oid[])"""


class Irreplaceable(OperatorError):
    """An object on the read tables cannot be recreated; the message names it."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            "the read tables are as they were, as something depends on them that cannot be made"
            f" again; change or drop it, then try again: {'; '.join(names)}"
        )


class Dependent(Struct, frozen=True):
    """Another's object: its description, and the SQL that creates it on the new tables."""

    name: str
    makes: tuple[str, ...]
    drop: str | None = None
    """SQL that drops it from the old tables, unless it goes with them."""
    fill: str | None = None
    """SQL that fills it, which may be slow."""


async def find(connection: AsyncConnection[Any]) -> list[Dependent]:
    """The others' objects on the live tables, in the order of creation.

    Sets an empty search_path in the transaction, so that names are qualified. Raises Irreplaceable
    for an object of another kind.
    """
    await connection.execute("SET LOCAL search_path = ''")
    names: dict[str, Any] = {"live": schema.LIVE, "masked": schema.masked(schema.LIVE)}
    more = {"tracking": schema.TRACKING, "views": [row.TABLE for row in VIEWS]}
    ours = [oid for (oid,) in await _rows(connection, OURS, names | more)]
    views = await _rows(connection, OTHERS_VIEWS, names | {"ours": ours})
    indexes = [index.name(row.TABLE) for row in TABLES.values() for index in row.INDEXES]
    known = names | {"ours": ours, "indexes": indexes}
    known |= {"known": [*ours, *(oid for oid, *_ in views)]}
    if unknown := await _rows(connection, UNKNOWN, known):
        raise Irreplaceable([name for (name,) in unknown])
    made = defaultdict[int, list[str]](list)
    for query in (GRANTS, INDEXES):
        for oid, statement in await _rows(connection, query, known):
            made[oid].append(statement)
    for oid, statement in await _rows(connection, COMMENTS, {"views": [oid for oid, *_ in views]}):
        made[oid].append(statement)
    return [
        *(Dependent(each, (each,)) for oid in (*ours, 0) for each in made[oid]),
        *(_view(each, made) for each in views),
    ]


def _view(found: tuple[Any, ...], made: Mapping[int, list[str]]) -> Dependent:
    oid, materialized, name, owner, options, query, populated = found
    kind = "MATERIALIZED VIEW" if materialized else "VIEW"
    given = f" WITH ({options})" if options else ""
    lacks = " WITH NO DATA" if materialized else ""
    return Dependent(
        f"{kind.lower()} {name}",
        (
            f"CREATE {kind} {name}{given} AS {query}{lacks}",
            f"ALTER {kind} {name} OWNER TO {owner}",
            *made[oid],
        ),
        f"DROP {kind} {name}",
        f"REFRESH {kind} {name}" if materialized and populated else None,
    )


async def _rows(
    connection: AsyncConnection[Any], query: str, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values)).fetchall()
