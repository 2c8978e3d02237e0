"""The routes of refused loan requests, and of proofs that these and activities are in their log."""

from functools import partial
from typing import Any, Final

from psycopg import AsyncConnection
from pydantic.alias_generators import to_snake

from api.context import Context
from api.description.components import TEXT, shape
from api.http.call import Call, Reply
from api.http.ids import missing
from api.http.query import QueryParams, unfit
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, Other, Resource
from api.routes.proofs import NUMBER_OF, PROOF, hashes_of, size_in
from projections.proofs import checkpoints
from projections.proofs.merkle import inclusion, leaf_hash
from projections.proofs.sealed_logs import Activities, place_of
from projections.proofs.signed_note import parsed
from projections.proofs.trees import ACTIVITY
from projections.refused_requests import RefusedRequestRow
from rim_ledger.engine.activity import AdminActivityLog, RefusedRequest
from rim_ledger.engine.refusals import Refused

LINES: Final = """
SELECT note FROM ledger.checkpoints WHERE note LIKE %s ORDER BY number DESC LIMIT 1"""
LINE_PROOF: Final = shape("ActivityProof", PROOF | {"log": TEXT, "entry": TEXT})


async def answer_activity_proof(
    context: Context, call: Call, _: Rights, *, source: str, kind: type[Any]
) -> Reply:
    """That a line of the log of activities, or a refused request, is in the tree of these.

    `entry` are the bytes of the leaf as text, which hold the row. The proof is against the line
    `activity` of the last checkpoint, or of the one that says that `treeSize` lines are sealed.
    """
    async with context.pool.reader() as connection:
        place = await place_of(connection, source, call.path_params["id"])
        if place is None:
            raise missing(kind)
        if not place:
            words = "This line is not sealed yet; that follows within ten seconds."
            raise Refused("not-sealed", words)
        size, note = await _lines_sealed(connection, call.query_params)
        if place > size:
            raise unfit("treeSize", f"this line is number {place}")
        hashes = await hashes_of(connection, ACTIVITY, inclusion(place - 1, size))
        (item,) = await Activities(None, 0).page(connection, place - 1, place, 1)
    assert item.leaf is not None, "its row is there"
    body = {
        "log": "activity",
        "position": place,
        "leaf": leaf_hash(item.leaf).hex(),
        "treeSize": size,
        "hashes": hashes,
        "entry": item.leaf.decode(),
        "checkpoint": note,
    }
    return Reply(200, body)


async def _lines_sealed(
    connection: AsyncConnection[Any], given: QueryParams
) -> tuple[int, str | None]:
    """The number of sealed lines of activity, or the requested one, and the note on exactly so
    many, if one was signed."""
    _, note = await checkpoints.last(connection)
    activity = parsed(note).activity if note else None
    most = activity.size if activity else 0
    if (size := size_in(given, "treeSize", most)) == most:
        return most, note
    row = await (await connection.execute(LINES, [f"%\nactivity {size} %"])).fetchone()
    return size, row[0] if row else None


ROUTES: list[AnyRoute] = [
    *(
        Other(
            "GET",
            f"/v1/{path}/{{id}}/proof",
            partial(answer_activity_proof, source=source, kind=kind),
            "Proof that a line is in the log of activities",
            needs,
            name=f"get_{to_snake(kind.__name__)}_proof",
            gives=LINE_PROOF,
            query={"treeSize": NUMBER_OF},
        )
        for path, source, kind, needs in (
            ("admin-activity-logs", "activity", AdminActivityLog, ("activity_logs", "read")),
            ("refused-requests", "refused_requests", RefusedRequest, ("loans", "read")),
        )
    ),
    *Resource("/v1/refused-requests", RefusedRequestRow, "loans").reads,
]
