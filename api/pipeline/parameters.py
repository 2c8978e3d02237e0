"""The parameters of a list's query, as JSON Schema."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from api.description.examples import AS_OF, EFFECTIVE_AT, EITHER_ID
from api.pipeline.conditions import ENDS, is_filter
from api.pipeline.filters import LIMIT, LIMIT_MAX, has_past, lists_business_time
from projections.tables.columns import Column
from projections.tables.table import Row

Schema = dict[str, Any]

_STRING: Final[Schema] = {"type": "string"}


@cache
def of_list(row: type[Row]) -> Mapping[str, Schema]:
    """Where a page begins and how long it is, the order, and the filters."""
    columns = [column for column in row.COLUMNS.values() if is_filter(row, column)]
    sorts = [sign + c.wire for c in columns if c.name != "id" for sign in ("", "-")]
    parameters: dict[str, Schema] = {
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": LIMIT_MAX,
            "default": LIMIT,
            "description": "Rows of a page. Without one, NDJSON and CSV have all rows.",
        },
        "cursor": _STRING,
        "sort": {"type": "string", "enum": sorts},
        **filters_of(row),
    }
    if "deleted_at" in row.COLUMNS:
        parameters["deleted"] = {"type": "boolean"}
    if has_past(row):
        parameters["asOf"] = AS_OF
    if lists_business_time(row):
        parameters["effectiveAt"] = EFFECTIVE_AT
    return parameters


def filters_of(row: type[Row]) -> dict[str, Schema]:
    """The filters of a list: each may be repeated, but for the ends of a range."""
    filters: dict[str, Schema] = {}
    for column in row.COLUMNS.values():
        if is_filter(row, column):
            filters[column.wire] = {"type": "array", "items": _of(column)}
            if column.sql_type == "timestamptz":
                filters |= {column.wire + end: _of(column) for end in ENDS}
    return filters | {name: {"type": "array", "items": _STRING} for name in row.ALSO}


def _of(column: Column) -> Schema:
    if column.words:
        return {"type": "string", "enum": list(column.words)}
    if column.sql_type in ("uuid", "uuid[]"):
        return EITHER_ID
    if column.sql_type == "timestamptz":
        return {"type": "string", "format": "date-time"}
    return {"type": {"bigint": "integer", "boolean": "boolean"}.get(column.sql_type, "string")}
