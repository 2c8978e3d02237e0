"""What a path names, if the caller may know of it."""

from typing import TYPE_CHECKING
from uuid import UUID

from api.http.call import Call
from api.http.ids import missing, resolve
from api.pipeline.routes import Parameters, Route, entry
from rim_ledger.engine.aggregate import A, Aggregate
from rim_ledger.engine.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.rights import Rights


def named(uow: UnitOfWork, route: Route, parameters: Parameters) -> UUID:
    """The stream that a path names."""
    if route.stream:
        return route.stream(parameters)
    return resolve(uow, route.kind, parameters["id"])


def require_known(uow: UnitOfWork, kind: type[A], stream: UUID) -> A:
    """What a path names; NotFound when there is none, or none that the caller may know of."""
    if (aggregate := uow.find(kind, stream)) is None or not aggregate.known_to(uow):
        raise missing(kind)
    return aggregate


async def look_for(
    context: "Context", call: Call, route: Route, parameters: Parameters, rights: "Rights"
) -> None:
    """NotFound where a path leads to something of which only some may know, and not the caller."""

    def look(uow: UnitOfWork) -> None:
        entry(route)(uow, call.token)
        require_known(uow, route.kind, named(uow, route, parameters))

    hides = rights.own or route.kind.known_to is not Aggregate.known_to
    if hides and "id" in parameters:
        await context.ledger.read(look, call.stamp(context.environment))
