"""The routes that prove that activities and refused loan requests are in the log of these."""

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pydantic.alias_generators import to_snake

from api.http.call import Call, Reply
from api.http.ids import missing
from api.http.problem import encoded
from api.http.query import Given, unfit
from api.pipeline.routes import AnyRoute, Other, Parameters
from api.routes.proofs import NUMBER_OF, PROOF, size_in
from projections.proofs import checkpoints
from projections.proofs.merkle import inclusion, leaf_hash, root_of, tiles_of
from projections.proofs.sealed_logs import Activities, place_of
from projections.proofs.signed_note import parsed
from projections.proofs.trees import ACTIVITY
from rim_ledger.engine.activity import AdminActivityLog, RefusedRequest
from rim_ledger.engine.refusals import Refused

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from api.context import Context

LINES: Final = """
SELECT note FROM ledger.checkpoints WHERE note LIKE %s ORDER BY number DESC LIMIT 1"""
LINE_PROOF: Final = PROOF | {"log": {"type": "string"}, "entry": {"type": "string"}}


async def answer_activity_proof(
    context: "Context", call: Call, parameters: Parameters, *, source: str, kind: type[Any]
) -> Reply:
    """That a line of the log of activities, or a refused request, is in the tree of these.

    `entry` are the bytes of the leaf as text, which hold the row. The proof is against the line
    `activity` of the last checkpoint, or of the one that says that `treeSize` lines are sealed.
    """
    async with context.pool.reader() as connection:
        place = await place_of(connection, source, parameters["id"])
        if place is None:
            raise missing(kind)
        if not place:
            words = "This line is not sealed yet; that follows within ten seconds."
            raise Refused("not-sealed", words)
        size, note = await _lines_sealed(connection, call.given)
        if place > size:
            raise unfit("treeSize", f"this line is number {place}")
        ranges = inclusion(place - 1, size)
        tiles = await ACTIVITY.tiles(connection, tiles_of(ranges))
        (item,) = await Activities(None, 0).page(connection, place - 1, place, 1)
    assert item.leaf is not None, "its row is there"
    body = {
        "log": "activity",
        "position": place,
        "leaf": leaf_hash(item.leaf).hex(),
        "treeSize": size,
        "hashes": [root_of(*each, tiles).hex() for each in ranges],
        "entry": item.leaf.decode(),
        "checkpoint": note,
    }
    return Reply(200, encoded(body))


async def _lines_sealed(connection: "AsyncConnection[Any]", given: Given) -> tuple[int, str | None]:
    """How many lines of activity are sealed, or were when the proof is to be of, and the note that
    says so, None if none was signed on just so many."""
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
            gives_name="ActivityProof",
            query={"treeSize": NUMBER_OF},
        )
        for path, source, kind, needs in (
            ("admin-activity-logs", "activity", AdminActivityLog, ("activity_logs", "read")),
            ("refused-requests", "refused_requests", RefusedRequest, ("loans", "read")),
        )
    ),
]
