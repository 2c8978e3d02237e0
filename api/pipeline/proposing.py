"""A command that takes two people: it is decided, and waits as a proposal."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
from pydantic import SecretStr

from api.pipeline.routes import CommandRequest
from projections.catalogue import ROW_OF
from rim_ledger.approvals.proposal import CommandProposed, Effect
from rim_ledger.approvals.proposal_commands import decided_on, lifetime, propose
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.command import Form, Ruled
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.vault.personal_keys import personal_fields

EFFECTS_MAX: Final = 50
"""Objects whose changes are kept with a proposal: a broadcast has one for each part."""
RENAMED: Final = frozenset({"notes"})
"""Free text about a person that events have under another name."""


def leave_proposal(
    request: CommandRequest, uow: UnitOfWork, perform: Callable[[UnitOfWork], UUID]
) -> UUID:
    """Decide on a command without carrying it out, and leave a proposal of it; its id. One that
    changes nothing needs no approval: then the id of what it is about. Raises Refused if a rule
    forbids it to the caller."""
    command = request.command
    assert isinstance(command, Ruled), "a rule binds it"
    trial = uow.trial()
    target = perform(trial)
    if len(trial.events) == len(uow.events):
        return target
    kind = request.route.kind
    aggregate = uow.find(kind, target)
    plain, words, secrets = parts(kind, command, request.said)
    person = trial.read(kind, target).person
    proposal = uow.new_id()
    event = CommandProposed(
        command=type(command).__name__,
        permission=":".join(request.route.needs),
        entity=kind.__name__,
        target=target,
        expires_at=uow.stamp.at + lifetime(uow),
        path=dict(request.parameters),
        body=plain,
        words=words,
        secrets=sorted(secrets),
        about=person if words and uow.key(person) else None,
        amount=command.naira(aggregate, uow),
        decided_on=decided_on(target, uow, trial),
        effects=effects(uow, trial),
    )
    waiting = msgspec.json.encode(secrets).decode() if secrets else None
    propose(uow, proposal, event, waiting)
    return proposal


def parts(
    kind: type[Aggregate], command: Form, said: Any
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The fields of a body as it was read: those in the clear, personal and secret ones."""
    plain, words, secrets = dict[str, Any](), dict[str, Any](), dict[str, Any]()
    of_person, hidden = _personal_names(kind), _secret_names(type(command))
    names = {field.alias or name: name for name, field in type(command).model_fields.items()}
    for wire, value in (said or {}).items():
        name = names[wire]
        place = secrets if name in hidden else words if name in of_person else plain
        place[wire] = _as_json(value)
    return plain, words, secrets


@cache
def _personal_names(kind: type[Aggregate]) -> frozenset[str]:
    """The fields that an event of the kind has sealed."""
    events = get_args(ENTITIES[kind]) or (ENTITIES[kind],)
    names = frozenset(name for event in events for name in personal_fields(event))
    return names | RENAMED if names else names


@cache
def _secret_names(form: type[Form]) -> frozenset[str]:
    return frozenset(
        name for name, field in form.model_fields.items() if _holds_secret(field.annotation)
    )


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def effects(before: UnitOfWork, after: UnitOfWork) -> list[Effect]:
    """What was done between two units of work, to the first EFFECTS_MAX objects."""
    names = dict[UUID, list[str]]()
    for recorded in after.events[len(before.events) :]:
        names.setdefault(recorded.originator_id, []).append(type(recorded.event).__name__)
    found = list[Effect]()
    for stream in [*names][:EFFECTS_MAX]:
        now = after.read(Aggregate, stream)  # type: ignore[type-abstract]
        then = before.find(type(now), stream)
        fields = _changed(then, now)
        entity = type(now).__name__
        found.append(Effect(entity=entity, id=stream, events=names[stream], fields=dict(fields)))
    return found


def _changed(before: Aggregate | None, after: Aggregate) -> Mapping[str, Any]:
    """The fields of a row that changed, without personal ones."""
    if (row := ROW_OF.get(type(after))) is None:
        return {}
    news = row.VALUES(after)
    olds = row.VALUES(before) if before else (None,) * len(news)
    return {
        column.wire: {"old": _as_json(old), "new": _as_json(new)}
        for place, (column, old, new) in enumerate(zip(row.TAKEN, olds, news, strict=True))
        if old != new and place not in row.SEALED
    }


def _as_json(value: Any) -> Any:
    """A value as JSON has it. Decimals are numbers: none has more digits than a double holds."""
    match value:
        case Decimal():
            return float(value)
        case Mapping():
            return {str(name): _as_json(each) for name, each in value.items()}
        case list() | tuple():
            return [_as_json(each) for each in value]
        case _:
            return msgspec.to_builtins(value)
