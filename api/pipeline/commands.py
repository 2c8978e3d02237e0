"""A command on its way: from a body to a decision, and from a receipt to an answer."""

import re
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from api.context import Context
from api.description.components import DRY_RUN
from api.http.body import BODY_MAX, read_body, read_json
from api.http.call import Call, Reply
from api.http.content_type import require_media_type
from api.http.ids import missing
from api.http.problem import InvalidFields
from api.http.query import flag, read_parameters
from api.pipeline.disclosure import show
from api.pipeline.dry_run import answer_dry_run
from api.pipeline.field_names import names_at
from api.pipeline.idempotency import key_for
from api.pipeline.pipeline import admitted, look, refuse_others, rights_in, submit
from api.pipeline.reads import shown
from api.pipeline.receipts import command_reply, receipt_json
from api.pipeline.routes import CommandRequest, Done, Parameters, Route, activity_of, entry
from projections.catalogue import ROW_OF
from rim_ledger.engine.activity import as_dry_run
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.view import Wanted
from rim_ledger.near import NAMES_MAX, did_you_mean
from rim_ledger.values import BUSINESS_ID, UUID_TEXT
from rim_ledger.vault.personal_keys import Vault

TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS: Final = re.compile(rf"[ \t,]*(?:{TAG}[ \t]*(?:,[ \t,]*|$))+")
"""A list of entity tags, some of them left out (RFC 9110, 5.6.1 and 8.8.3)."""
VERSION: Final = re.compile(r'(?<!W/)"([1-9][0-9]{0,17})"')
"""A strong tag that this service gives. Others, and weak ones, are no current version."""
PREFERRED: Final = re.compile(rb'(?i)(?:^|,)\s*return\s*=\s*"?representation"?\s*(?:[,;]|$)')
"""In a Prefer header, alone or beside other preferences (RFC 7240)."""
NO_OBJECT: Final = "this is a JSON object"
F = TypeVar("F", bound=Form)


def fill(route: Route, parameters: Parameters, body: Any) -> Form:
    """The command in a body, with the path's words other than `id` as fields. A word that is not
    valid gives NotFound; for a PUT, which creates what it names, InvalidFields."""
    fields = route.command.model_fields
    own = {name: word for name, word in parameters.items() if name in fields and name != "id"}
    if isinstance(body, dict):
        if twice := own.keys() & body.keys():
            raise InvalidFields(
                [_error(f"/{name}", "in-path", "The path says it.") for name in twice]
            )
        body = body | own
    try:
        return route.command.filled_in(body)
    except ValidationError as error:
        wrong = {name for each in error.errors() for name in each["loc"][:1]}
        if route.method != "PUT" and wrong & own.keys():
            raise missing(route.kind) from None
        raise InvalidFields(errors_in(error, route.command, body)) from None


class _Nothing(Form):
    """A body without fields."""


async def require_no_fields(call: Call) -> None:
    """Raise InvalidFields for a body with fields: the route's parameters stand in its query."""
    body = await read_body(call.receive, call.headers, BODY_MAX)
    read_as(_Nothing, read_json(body) if body else {})


async def read_form(call: Call, form: type[F], *, optional: bool = False) -> F:
    """The form in a request's body; where that is `optional`, an empty one without a body."""
    body = await read_body(call.receive, call.headers, BODY_MAX)
    if optional and not body:
        return read_as(form, {})
    require_media_type(call.headers, b"application/json")
    return read_as(form, read_json(body))


def read_as(form: type[F], body: Any) -> F:
    """A body as the form that it is to be. Raises InvalidFields."""
    try:
        return form.filled_in(body)
    except ValidationError as error:
        raise InvalidFields(errors_in(error, form, body)) from None


def errors_in(error: ValidationError, form: type[BaseModel], body: Any) -> list[dict[str, str]]:
    """The errors of a body that does not fit the form, without the values. An unknown field gets
    the nearest known name as a suggestion."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = [each for each in found if each["type"] == "extra_forbidden"]
    for each in unknown[:NAMES_MAX]:
        *within, name = each["loc"]
        each["msg"] += did_you_mean(str(name), names_at(form, tuple(within)))
    return [
        _error(
            _pointer(each["loc"], body),
            each["type"].replace("_", "-"),
            NO_OBJECT if each["type"] == "model_type" else each["msg"],
        )
        for each in found
    ]


def _error(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}


def _pointer(place: tuple[int | str, ...], body: Any) -> str:
    """RFC 6901. Ends where the body ends: the names of a union's arms are not its fields."""
    pointer = ""
    for word in place:
        within = isinstance(body, dict) or (isinstance(body, list) and isinstance(word, int))
        if not within:
            break
        pointer += "/" + str(word).replace("~", "~0").replace("/", "~1")
        body = body.get(word) if isinstance(body, dict) else body[word]
    return pointer


def versions_in(if_match: str | None) -> frozenset[int] | None:
    """The versions that a caller takes for current; None when any will do. What is no list of
    entity tags names none, so nothing is done."""
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    tags = re.findall(TAG, if_match) if TAGS.fullmatch(if_match) else []
    return frozenset(int(found[1]) for tag in tags if (found := VERSION.fullmatch(tag)))


async def answer_command(context: Context, call: Call, route: Route) -> Reply:
    """Read, decide, commit; the receipt, or the row when the client prefers that. Raises
    Unauthenticated before the body is read, where this process has not met the token yet."""
    parameters = call.path_params
    if call.token not in context.callers:
        asked = activity_of(route.command.__name__, route.path, parameters)
        await admitted(context, call, activity=asked, enter=entry(route))
    try:
        call.dry_run = flag(read_parameters(call.query, DRY_RUN), "dryRun")
        body = await read_body(call.receive, call.headers, route.body_max)
        if body:
            require_media_type(call.headers, b"application/json")
        request = command_request(
            context,
            call,
            route,
            parameters,
            read_json(body) if body else {},
            op=f"{call.method} {call.path}",
            key=call.header(b"idempotency-key"),
            versions=versions_in(call.header(b"if-match")),
        )
    except Refused:
        # A caller without the right learns only that.
        await refuse_others(context, call, route, parameters)
        raise
    if request.dry_run:
        return await answer_dry_run(context, call, request)
    done = await submit(context, request)
    if done.receipt.proposed:
        return command_reply(done, receipt_json(route.kind, done.receipt))
    if route.answer:
        return route.answer(done)
    if PREFERRED.search(call.headers.get(b"prefer", b"")):
        row = None
        with suppress(Refused, Unavailable):  # It is done, so there is a receipt at least.
            row = await _row_after(context, call, done)
        if row is not None:
            return command_reply(done, row, (b"preference-applied", b"return=representation"))
    return command_reply(done, receipt_json(route.kind, done.receipt))


def command_request(
    context: Context,
    call: Call,
    route: Route,
    parameters: Parameters,
    body: Any,
    *,
    op: str,
    key: str | None,
    versions: frozenset[int] | None,
) -> CommandRequest:
    """The request for a command, single or a line of many: `body` is its parsed JSON, `op` its
    method and path. Raises Refused for an invalid command or key."""
    command = fill(route, parameters, body)
    caller = context.callers.get(call.token)
    asked = activity_of(route.command.__name__, route.path, parameters)
    if call.dry_run:
        asked, key = as_dry_run(asked), None
    return CommandRequest(
        token=call.token,
        callers=context.callers,
        enter=entry(route),
        needs=(route.needs,),
        asked=asked,
        stamp=call.stamp(context.environment, key),
        idempotency=key_for(context, caller, key, op, parsed=command, body=body),
        reads=reads_of(command, parameters, context.vault),
        dry_run=call.dry_run,
        route=route,
        parameters=parameters,
        command=command,
        versions=versions,
        body=body,
    )


def reads_of(command: Form, parameters: Parameters, vault: Vault) -> list[Wanted]:
    """Return what deciding on a command surely reads: what its path and its fields name by either
    id, and the names that it looks up."""
    named = parameters.get("id", "")
    given = [UUID(named) if UUID_TEXT.fullmatch(named) else named, *vars(command).values()]
    ids = [("stream", each) for each in given if isinstance(each, UUID)]
    texts = [each for each in given if isinstance(each, str) and BUSINESS_ID.fullmatch(each)]
    claims = [*(("business-id", each) for each in texts), *command.looks_up(vault)]
    return [*ids, *(("claim", each) for each in claims)]


async def _row_after(context: Context, call: Call, done: Done) -> bytes | None:
    """The row as a command left it; None on timeout, or if the caller may not read it. Disclosure
    of personal data is logged, also at a replay, and after the command has ended the caller's
    session."""
    route, receipt = done.request.route, done.receipt
    row = ROW_OF.get(route.kind)
    if row is None:
        return None
    if (rights := done.rights) is None:
        rights = await look(context, done.request, partial(rights_in, context))
    if context.table.reading.get(row) not in rights.given:
        return None
    if not await context.tables.wait(receipt.position):
        return None
    named = {"id": str(receipt.id)}
    asked = activity_of("Read", route.path, named)
    answer = partial(shown, context, row, named)
    text = await show(context, call, rights, asked, answer, shows=row.SHOWS_PERSONS)
    return text.encode() if text else None
