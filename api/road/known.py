"""What a path names, if the caller may know of it."""

from typing import TYPE_CHECKING
from uuid import UUID

from api.road.routes import Parameters, Route, entry
from api.wire.call import Call
from api.wire.ids import missing, resolve
from rim_ledger.book import Book
from rim_ledger.core import A, Aggregate

if TYPE_CHECKING:
    from api.road.desk import Desk
    from api.road.rights import Rights


def named(book: Book, route: Route, parameters: Parameters) -> UUID:
    """The stream that a path names."""
    if route.stream:
        return route.stream(parameters)
    return resolve(book, route.kind, parameters["id"])


def require_known(book: Book, kind: type[A], stream: UUID) -> A:
    """What a path names; NotFound when there is none, or none that the caller may know of."""
    if (aggregate := book.find(kind, stream)) is None or not aggregate.known_to(book):
        raise missing(kind)
    return aggregate


async def look_for(
    desk: "Desk", call: Call, route: Route, parameters: Parameters, rights: "Rights"
) -> None:
    """NotFound where a path leads to something of which only some may know, and not the caller."""

    def look(book: Book) -> None:
        entry(route)(book, call.token)
        require_known(book, route.kind, named(book, route, parameters))

    hides = rights.own or route.kind.known_to is not Aggregate.known_to
    if hides and "id" in parameters:
        await desk.ledger.read(look, call.stamp(desk.world))
