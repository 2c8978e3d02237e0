"""What can be asked: every route is a line of data, found by its words."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from uuid import UUID

from msgspec import Struct
from pydantic import BaseModel

from api.http.body import BODY_MAX
from api.pipeline.rights import Rights
from projections.tables.table import Row
from rim_ledger.admin import authentication
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Aggregate, Stamp
from rim_ledger.engine.command import Form
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.values import BUSINESS_ID, UUID_TEXT

if TYPE_CHECKING:
    from api.context import Context
    from api.http.call import Call, Reply

Parameters = Mapping[str, str]
Enter: TypeAlias = Callable[[UnitOfWork, str], None]
"""Lets in whose token has this hash; raises Unauthenticated or Forbidden."""
Prepare: TypeAlias = "Callable[[Context, CommandRequest], Awaitable[Form]]"
After: TypeAlias = "Callable[[Context, CommandRequest, Receipt], Awaitable[Receipt]]"
Answer: TypeAlias = "Callable[[Context, Call, Parameters], Awaitable[Reply | None]]"
NAMED: Final = re.compile(f"{UUID_TEXT.pattern}|{BUSINESS_ID.pattern}|[a-z][a-zA-Z]{{1,39}}")
"""A thing's id, or a setting's name."""


class Route(Struct, frozen=True):
    """A command: where it is asked for, what it is about, and which right it needs.

    A path's words other than `id` belong to the command. `stream` finds the stream where the path
    has no id.
    """

    method: str
    path: str
    kind: type[Aggregate]
    command: type[Form]
    needs: Right
    summary: str
    stream: Callable[[Parameters], UUID] | None = None
    prepare: "Prepare | None" = None
    """What goes before the decision, such as a call to a provider; the command that knows of it.
    It sees to it that the caller may ask, unless the route admits them first."""
    after: "After | None" = None
    """What follows the commit, such as a top-up; the last receipt. It is told of a repeated request
    as well."""
    alone: bool = False
    """Whether it goes with no others in one decision, as what follows cannot be taken back."""
    admits_first: bool = False
    """Whether the caller is let in before they wait their turn: who is shut out meanwhile is told
    what the rule says."""
    answer: "Callable[[Done], Reply] | None" = None
    """What is answered in place of the receipt. Such a command is no op of bulk."""
    gives: Mapping[str, Any] | None = None
    """JSON Schema of the properties of that answer."""
    body_max: int = BODY_MAX
    """Bytes of its body."""
    own: bool = False
    """Whether borrowers may ask for it as well, as far as it is theirs."""

    QUERY: ClassVar[Mapping[str, Any]] = {}
    """A command takes no parameters in its query string."""


class Request(Struct):
    """What a decision needs to know of the request that it is asked for by."""

    token: str
    """The hash of the caller's token."""
    enter: Enter
    needs: tuple[Right, ...]
    asked: Activity | None
    """What the log of activities says of it, if anything."""
    stamp: Stamp
    idempotency: Idempotency | None = None


class CommandRequest(Request, kw_only=True):
    """A request for a command whose form was checked."""

    asked: Activity
    route: Route
    parameters: Parameters
    command: Form
    versions: frozenset[int] | None = None
    """Those that the caller takes for current; None when any will do."""


class Done(Struct):
    """What became of a command."""

    request: CommandRequest
    """As it was decided on."""
    receipt: Receipt
    rights: Rights | None
    """Who was let in; None with the receipt of an earlier request."""


class List(Struct, frozen=True):
    """A list of rows. `of` names the column that an id in the path must equal, and in whose table;
    `with_owner` puts that table's row around the items."""

    path: str
    row: type[Row]
    needs: Right
    summary: str
    of: tuple[str, type[Row]] | None = None
    with_owner: bool = False
    order: str | None = None
    """How it is sorted when nobody asks otherwise, where that is not the newest first."""
    through: tuple[tuple[type[Row], str, Right], ...] = ()
    """Where `of` names no owner, but something of theirs: the tables it may be in, their column
    for the owner, and the right to see it there."""
    own: bool = False
    """Whether borrowers may ask for it as well, as far as it is theirs."""
    method: str = "GET"


class One(Struct, frozen=True):
    """One row, found by the columns that its path names."""

    path: str
    row: type[Row]
    needs: Right
    summary: str
    own: bool = False
    """Whether borrowers may ask for it as well, as far as it is theirs."""
    method: str = "GET"


class Other(Struct, frozen=True):
    """Anything else: answers by itself, or streams and answers None. Without a right that it
    needs, it sees itself to who may ask."""

    method: str
    path: str
    answer: "Answer"
    summary: str
    needs: Right | None = None
    name: str = ""
    """Of the operation, where it is not the function's."""
    exports: bool = False
    """Whether it takes so much along that the log of activities says who did."""
    form: type[BaseModel] | None = None
    public: bool = False
    own: bool = False
    """Whether borrowers may ask for it as well, as far as it is theirs."""
    status: int = 200
    gives: Mapping[str, Any] | None = None
    """JSON Schema of the answer's properties."""
    gives_name: str = ""
    """What the description calls this answer, where several routes give it."""
    or_gives: Mapping[str, Any] | None = None
    """The same of another answer that it may give."""
    or_gives_name: str = ""
    """What the description calls that."""
    or_status: int | None = None
    """The status of that, where it has its own."""
    media_type: str = "application/json"
    """The media type of the request's body, if it has one."""
    answers: str = "application/json"
    """The media type of its answer, if that has a body."""
    offers: tuple[bytes, ...] = ()
    """The media types that it answers in, where `Accept` chooses among them; the first when
    nothing is said."""
    query: Mapping[str, Any] = {}
    """JSON Schema of the parameters of its query string; any other is refused."""
    former: bool = False
    """Whether it is the former path of another route: it answers the same, and is not described."""


AnyRoute = Route | List | One | Other


def resource(path: str, row: type[Row], name: str, *, own: bool = False) -> list[AnyRoute]:
    """The two reads that nearly every table has."""
    words = path.rsplit("/", 1)[1].replace("-", " ")
    return [
        List(path, row, (name, "read"), f"List {words}", own=own),
        One(path + "/{id}", row, (name, "read"), f"One of the {words}", own=own),
    ]


def entry(route: AnyRoute) -> Enter:
    """Who is let in to a route: admins, and borrowers where it says so."""
    return authentication.enter_own if route.own else authentication.enter


def activity_of(action: str, path: str, parameters: Parameters) -> Activity:
    """What the log of activities says of a request. A word that cannot be a name is left out: it
    may be anything that somebody typed."""
    named = [word for word in parameters.values() if NAMED.fullmatch(word)]
    resource_id = "/".join(named) or None
    return Activity(action=action, resource=path.split("/")[2], resource_id=resource_id)


UNSHOWN: Final[Mapping[str, Right]] = {
    "AdoptedSecrets": ("admins", "read"),
    "CustomerAccess": ("users", "read"),
    "ProviderClearing": ("settlements", "read"),
    "BroadcastChunk": ("broadcasts", "read"),
}
"""The rights to read about what has events and no route."""


def _kind_of(route: List) -> type[Any]:
    """What a list shows: objects, or one object with what belongs to it."""
    owner = route.of[1] if route.of and route.with_owner else route.row
    kind: type[Any] = owner.OF
    return kind


def rights_to_read(routes: Iterable[AnyRoute]) -> tuple[dict[type[Row], Right], dict[str, Right]]:
    """The right to read one row of each table, and that to read each entity by its name."""
    rows, entities = dict[type[Row], Right](), dict(UNSHOWN)
    for route in routes:
        if isinstance(route, One):
            rows[route.row] = entities[route.row.OF.__name__] = route.needs
        elif isinstance(route, List):
            entities.setdefault(_kind_of(route).__name__, route.needs)
    return rows, entities
