"""The routes of loan requests that were refused: listed, and as CSV."""

from typing import TYPE_CHECKING, Final

from api.csv_export import Export, stream_csv
from api.road.parameters import filters_of
from api.road.routes import AnyRoute, Other, Parameters, resource
from api.wire.call import Call, Reply
from projections.refused_requests import RefusedRequestRow

if TYPE_CHECKING:
    from api.road.desk import Desk

PATH: Final = "/v1/refused-requests"
READ: Final = ("loans", "read")
COLUMNS: Final = RefusedRequestRow.COLUMNS
EXPORT: Final = Export(
    "refused-requests",
    RefusedRequestRow,
    ("timestamp", "id"),
    f"SELECT {', '.join(f't.{name}' for name in COLUMNS)} FROM"  # noqa: S608 - declared names
    " {page} t ORDER BY t.timestamp, t.id",
    [column.wire for column in COLUMNS.values()],
    READ,
)


async def export_refused_requests(desk: "Desk", call: Call, _: Parameters) -> Reply | None:
    """Every loan request that was refused, with the filters of the list, the oldest first."""
    await stream_csv(desk, call, EXPORT)
    return None


ROUTES: list[AnyRoute] = [
    *resource(PATH, RefusedRequestRow, READ[0]),
    Other(
        "GET",
        PATH + ".csv",
        export_refused_requests,
        "Refused loan requests as CSV",
        READ,
        exports=True,
        answers="text/csv",
        query=filters_of(RefusedRequestRow),
    ),
]
