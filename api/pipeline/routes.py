"""The table of routes: every route is data."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias
from uuid import UUID

from msgspec import Struct
from pydantic import BaseModel

from api.context import Context
from api.http.body import BODY_MAX
from api.http.call import Call, Reply
from api.pipeline.rights import Rights
from projections.tables.table import Row
from rim_ledger.admin import authentication
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Aggregate, Stamp
from rim_ledger.engine.command import Form
from rim_ledger.engine.deciding import Admit
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.engine.view import Wanted
from rim_ledger.values import BUSINESS_ID, UUID_TEXT

Parameters = Mapping[str, str]
Enter: TypeAlias = Callable[[UnitOfWork, str], None]
"""Admits the holder of the token with this hash; raises Unauthenticated or Forbidden."""
Prepare: TypeAlias = "Callable[[Context, CommandRequest, Any], Awaitable[Form]]"
After: TypeAlias = "Callable[[Context, CommandRequest, Receipt], Awaitable[Receipt]]"
Answer: TypeAlias = Callable[[Context, Call, Rights], Awaitable[Reply | None]]
P = ParamSpec("P")
TOKENS_MAX: Final = 10_000
NAMED: Final = re.compile(f"{UUID_TEXT.pattern}|{BUSINESS_ID.pattern}|[a-z][a-zA-Z]{{1,39}}")
"""A thing's id, or a setting's name."""


class Route(Struct, frozen=True):
    """A command: its path, its aggregate, and the right it needs.

    Words of the path other than `id` are fields of the command. `stream` finds the stream where the
    path has no id.
    """

    method: str
    path: str
    kind: type[Aggregate]
    command: type[Form]
    needs: Right
    summary: str
    stream: Callable[[Parameters], UUID] | None = None
    prepare: "Prepare | None" = None
    """Runs before the decision, such as a call to a provider: takes the command of the request as
    well, and gives the one to decide on. It authorizes the caller, unless the route admits
    first."""
    reads_tables: bool = False
    """Whether that reads the tables, which know nothing of lines before it in a dry run."""
    after: "After | None" = None
    """Runs after the commit, such as a top-up, also for a repeated request; gives the last
    receipt."""
    alone: bool = False
    """Whether it goes with no others in one decision, as what follows cannot be taken back."""
    admits_first: bool = False
    """Whether the caller is admitted before the request waits its turn: one whose session ends
    meanwhile gets what the rule answers."""
    answer: "Callable[[Done], Reply] | None" = None
    """What is answered in place of the receipt. Such a command is no op of bulk."""
    gives: Mapping[str, Any] | None = None
    """JSON Schema of the properties of that answer."""
    body_max: int = BODY_MAX
    """Bytes of its body."""
    approvable: bool = True
    """Whether it can wait as a proposal. A command whose answer is shown once, or whose effect
    comes before the decision, cannot."""
    own: bool = False
    """Whether borrowers may send it too, for what is theirs."""


class Request(Struct):
    """What a decision needs to know of its request."""

    token: str
    """The hash of the caller's token."""
    callers: dict[str, UUID]
    """The holders of tokens that were admitted before."""
    enter: Enter
    needs: tuple[Right, ...]
    asked: Activity | None
    """Its entry in the log of activities, if any."""
    stamp: Stamp
    idempotency: Idempotency | None = None
    dry_run: bool = False
    """Whether nothing of it is kept but its entry in the log of activities."""
    reads: Collection[Wanted] = ()
    """Rows that its decision surely reads."""

    def admit(self, uow: UnitOfWork) -> None:
        """Admit the caller, as part of a decision. Raises Unauthenticated or Forbidden."""
        if self.asked:
            uow.activities.append(self.asked)
        self.enter(uow, self.token)
        # Whose a token is never changes, whatever becomes of this decision.
        assert uow.stamp.actor.id is not None, "whoever is admitted is somebody"
        self.callers[self.token] = uow.stamp.actor.id
        while len(self.callers) > TOKENS_MAX:
            del self.callers[next(iter(self.callers))]
        for need in self.needs:
            uow.need(*need)

    @property
    def terms(self) -> tuple[Stamp, Idempotency | None, Admit, Collection[Wanted]]:
        """What `Ledger.decide` takes besides the decision."""
        return self.stamp, self.idempotency, self.admit, self.reads


class CommandRequest(Request, kw_only=True):
    """A request for a command whose form was checked."""

    asked: Activity
    route: Route
    parameters: Parameters
    command: Form
    versions: frozenset[int] | None = None
    """Those that the caller takes for current; None when any will do."""
    body: Any = None
    """The body as it was read."""
    creates: UUID | None = None
    """The id of what it makes, where that was decided on before."""


class Done(Struct):
    """What became of a command."""

    request: CommandRequest
    """As it was decided on."""
    receipt: Receipt
    rights: Rights | None
    """The caller's; None with the receipt of an earlier request."""


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
    """The default order, if not the newest first."""
    through: tuple[tuple[type[Row], str, Right], ...] = ()
    """Where `of` names no owner, but something of theirs: the tables it may be in, their column
    for the owner, and the right to see it there."""
    own: bool = False
    """Whether borrowers may read it too, as far as it is theirs."""
    method: str = "GET"


class One(Struct, frozen=True):
    """One row, found by the columns that its path names."""

    path: str
    row: type[Row]
    needs: Right
    summary: str
    own: bool = False
    """Whether borrowers may read it too, if it is theirs."""
    method: str = "GET"


class Other(Struct, frozen=True):
    """Anything else: answers by itself, or streams and answers None."""

    method: str
    path: str
    answer: Answer
    summary: str
    needs: Right | None = None
    needs_also: Right | None = None
    """A second right that it needs."""
    name: str = ""
    """Of the operation, where it is not the function's."""
    action: str = ""
    """See `action_of`, where that does not follow from the method."""
    enter: Enter | None = None
    """How the caller is admitted, if not as `entry` gives."""
    exports: bool = False
    """Whether it exports data, which the log of activities records."""
    form: type[BaseModel] | None = None
    public: bool = False
    """Whether it is answered without admission."""
    own: bool = False
    """Whether borrowers may send it too, for what is theirs."""
    status: int = 200
    gives: Mapping[str, Any] | None = None
    """The answer: JSON Schema of its properties, or what `shape` or `either` give."""
    otherwise: tuple[int, Mapping[str, Any]] | None = None
    """Another status, and what is answered with it."""
    media_type: str = "application/json"
    """The media type of the request's body, if it has one."""
    answers: str = "application/json"
    """The media type of its answer, if that has a body."""
    offers: tuple[bytes, ...] = ()
    """The media types that `Accept` may choose from; the first is the default."""
    query: Mapping[str, Any] = {}
    """JSON Schema of the parameters of its query string; any other is refused."""
    former: bool = False
    """Whether it is the former path of another route: it answers the same, and is not described."""


AnyRoute = Route | List | One | Other


class Resource(Struct, frozen=True):
    """What stands below a path: the rows of a table, and the commands on the objects that they are
    of. `name` is that of the rights to them."""

    path: str
    row: type[Row]
    name: str
    own: bool = False
    """Whether borrowers may read it too, as far as it is theirs."""
    always: Mapping[str, Any] = {}
    """Fields of Route that all of its commands have."""

    @property
    def reads(self) -> list[AnyRoute]:
        """The list of the rows, and one row."""
        words, needs = self.path.rsplit("/", 1)[1].replace("-", " "), (self.name, "read")
        return [
            List(self.path, self.row, needs, f"List {words}", own=self.own),
            One(self.path + "/{id}", self.row, needs, f"One of the {words}", own=self.own),
        ]

    def lists(
        self,
        below: str,
        row: type[Row],
        summary: str,
        column: str,
        right: str | None = None,
        **more: Any,
    ) -> List:
        """The list of what belongs to one object by this column, under the right of this name or,
        if that is not given, the same as the object. Other fields of List may be given."""
        path, needs = f"{self.path}/{{id}}{below}", (right or self.name, "read")
        return List(path, row, needs, summary, (column, self.row), **more)

    def __call__(
        self,
        where: str,
        command: type[Form],
        summary: str,
        right: str | None = None,
        action: str | None = None,
        **own: Any,
    ) -> Route:
        """The route of a command. It takes method and place, such as "POST /{id}/approve"; the name
        of the right that it needs, and the action, if these are not the resource's name, and to
        delete for DELETE, else to write; and other fields of Route."""
        method, _, below = where.partition(" ")
        needs = right or self.name, action or ("delete" if method == "DELETE" else "write")
        fields = {**self.always, **own}
        return Route(method, self.path + below, self.row.OF, command, needs, summary, **fields)


def _as_decorator(
    make: Callable[Concatenate[str, str, Answer, P], Other],
) -> Callable[Concatenate[str, P], Callable[[Answer], Other]]:
    def declared(where: str, /, *given: P.args, **named: P.kwargs) -> Callable[[Answer], Other]:
        method, _, path = where.partition(" ")
        return lambda answer: make(method, path, answer, *given, **named)

    return declared


operation: Final = _as_decorator(Other)
"""Makes the function below it a route of the kind Other. It takes method and path, such as
"GET /v1/float", the summary, the right, and other fields of Other by name."""


def entry(route: AnyRoute) -> Enter:
    """How the callers of a route are admitted: admins, and borrowers where it is `own`."""
    if isinstance(route, Other) and route.enter:
        return route.enter
    return authentication.enter_own if route.own else authentication.enter


def action_of(route: List | One | Other) -> str:
    """What the log of activities calls a request that is no command."""
    if isinstance(route, Other):
        read = "Read" if route.method == "GET" else "Send"
        return route.action or ("Export" if route.exports else read)
    return "List" if isinstance(route, List) else "Read"


def activity_of(action: str, path: str, parameters: Parameters) -> Activity:
    """The entry of a request in the log of activities. A word of the path that cannot be a name is
    omitted: it may be any text."""
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


def rights_to_read(routes: Iterable[AnyRoute]) -> tuple[dict[type[Row], Right], dict[str, Right]]:
    """The right to read one row of each table, and that to read each entity by its name."""
    rows, entities = dict[type[Row], Right](), dict(UNSHOWN)
    for route in routes:
        if isinstance(route, One):
            rows[route.row] = entities[route.row.OF.__name__] = route.needs
        elif isinstance(route, List):
            shown = route.of[1] if route.of and route.with_owner else route.row
            entities.setdefault(shown.OF.__name__, route.needs)
    return rows, entities
