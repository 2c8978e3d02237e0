"""Commands on proposals: another admin approves or rejects one, and its maker withdraws it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final, Protocol, Self
from uuid import UUID

from msgspec import to_builtins
from msgspec.structs import replace
from pydantic import Field, PrivateAttr

from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.audit_actor import take_on
from rim_ledger.admin.same_person import is_caller, require_second_person
from rim_ledger.approvals.proposal import (
    REMINDER,
    CommandProposed,
    DecidedOn,
    Effect,
    Proposal,
    ProposalApproved,
    ProposalExpired,
    ProposalFailed,
    ProposalRejected,
    ProposalStatus,
    ProposalWithdrawn,
)
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.command import Command, Form
from rim_ledger.engine.refusals import Forbidden, Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.system.config import setting
from rim_ledger.values import Id, Note

SECRETS: Final = "proposed"
"""The purpose of the secret fields that wait under a proposal."""


class ProposedCommand(Protocol):
    """The command of a proposal, ready to be carried out."""

    def perform(self, uow: UnitOfWork) -> None:
        """Carry it out, or raise Refused."""

    def effects(self, before: UnitOfWork, after: UnitOfWork) -> list[Effect]:
        """Return what it did between two units of work."""


class SeenVersion(Form):
    """A version of a stream that the checker has looked at."""

    id: Id
    version: Annotated[int, Field(ge=0)]


class _End(Command[Proposal]):
    """What ends a proposal: nothing of it waits any more."""

    def follow(self, before: Proposal, uow: UnitOfWork) -> None:
        _end(before, uow)


class ApproveProposal(_End):
    """Approve a proposal of another admin: the command is decided again, now, and carried out in
    the same commit, with its maker as actor. Needs the permission of the command as well. If
    something that it was decided on has changed since, the problem `stale-proposal` says what, and
    `versions` approves it as it is now. If a rule forbids it now, the proposal has failed."""

    versions: Annotated[
        list[SeenVersion],
        Field(max_length=1000, description="What has changed since and may, as it is now."),
    ] = []
    _proposed: ProposedCommand | None = PrivateAttr(default=None)

    def carrying(self, proposed: ProposedCommand) -> Self:
        """Return a copy with the command that is to be carried out."""
        return self.prepared(_proposed=proposed)

    @property
    def proposed(self) -> ProposedCommand | None:
        """The command that is to be carried out."""
        return self._proposed

    def decide(self, aggregate: Proposal, uow: UnitOfWork) -> Iterable[Event]:
        _require_may_decide("approve", aggregate, uow)
        proposed = self._proposed
        assert proposed, "what is pending is read before the decision"
        effects, refusal = _tried(aggregate, proposed, uow)
        seen = {each.id: each.version for each in self.versions}
        _require_unmoved(aggregate, seen, effects, refusal, uow)
        if refusal:
            return [ProposalFailed(code=refusal.code, detail=refusal.detail)]
        proposed.perform(uow.trial())  # The checker meets the rules as well.
        with _acting_for_maker(aggregate, uow):
            proposed.perform(uow)
        return [ProposalApproved()]


class RejectProposal(_End):
    """Reject a proposal of another admin, for a reason. Needs the permission of the command as
    well."""

    reason: Note

    def decide(self, aggregate: Proposal, uow: UnitOfWork) -> Iterable[Event]:
        _require_may_decide("reject", aggregate, uow)
        if aggregate.about is None and not aggregate.has_own_key:
            return [ProposalRejected(note=self.reason)]
        erased = uow.key(aggregate.person) is None
        return [ProposalRejected(reason=None if erased else self.reason)]


class WithdrawProposal(_End):
    """Withdraw one's own proposal."""

    def decide(self, aggregate: Proposal, uow: UnitOfWork) -> Iterable[Event]:
        aggregate.require_pending("withdraw")
        if not is_caller(uow, aggregate.maker):
            raise Forbidden("not-the-maker", "Only the admin who proposed this withdraws it.")
        return [ProposalWithdrawn()]


def propose(uow: UnitOfWork, id: UUID, event: CommandProposed, secrets: str | None) -> None:
    """Leave a proposal in place of its command, with the secret fields as JSON if it has any."""
    uow.open_stream(Proposal, id, [event])
    if secrets:
        uow.keep_sealed(id, SECRETS, secrets)
    uow.remind(REMINDER, id, event.expires_at)
    uow.proposed = True


def decided_on(target: UUID, uow: UnitOfWork, trial: UnitOfWork) -> list[DecidedOn]:
    """Return what a trial looked at, at the versions before it. Accounts of admins and API keys
    move whenever they are used, so only one that the command is about counts."""
    found = list[DecidedOn]()
    for id_ in trial.read_streams:
        aggregate = trial.find(Aggregate, id_)  # type: ignore[type-abstract]
        if aggregate and (id_ == target or not isinstance(aggregate, AdminUser | ApiKey)):
            entity = type(aggregate).__name__
            found.append(DecidedOn(entity=entity, id=id_, version=uow.version(id_)))
    return found


def lifetime(uow: UnitOfWork) -> timedelta:
    """Return how long a proposal waits."""
    return timedelta(hours=setting(uow, "security", "proposalHours"))


def body_of(proposal: Proposal, uow: UnitOfWork) -> dict[str, Any] | None:
    """Return a proposal's body with its personal fields in the clear, and without the secret ones;
    None once its person was erased."""
    if not proposal.words:
        return proposal.body
    if uow.key(proposal.person) is None:
        return None
    words: dict[str, Any] = uow.reveal(proposal.person, proposal.words)
    return proposal.body | words


@decision
def check_proposal(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder: an undecided proposal expires."""
    uow.act_upon(id)
    proposal = uow.read(Proposal, id)
    if proposal.status is not ProposalStatus.PENDING:
        uow.forget(REMINDER, id)
    elif uow.stamp.at < proposal.expires_at:
        uow.remind(REMINDER, id, proposal.expires_at)
    else:
        with uow.dated(id):
            uow.append(Proposal, id, [ProposalExpired()])
        _end(proposal, uow)


@decision
def erase_ended(uow: UnitOfWork, id: UUID) -> None:
    """Destroy the key of an ended proposal again, which is there after an older backup was
    restored. One that is pending by then keeps it until it ends."""
    if uow.read(Proposal, id).key_destroyed:
        uow.erase(id)


def _end(proposal: Proposal, uow: UnitOfWork) -> None:
    uow.forget(REMINDER, proposal.id)
    if proposal.secrets:
        uow.keep_secret(proposal.id, SECRETS, "")
    if proposal.has_own_key:
        uow.erase(proposal.id)


def _require_may_decide(command: str, proposal: Proposal, uow: UnitOfWork) -> None:
    """Refuse a caller who is not another admin than the maker, with the permission of the command,
    or whose account or role was changed since the proposal."""
    proposal.require_pending(command)
    expired = f"The proposal expired at {proposal.expires_at:%Y-%m-%dT%H:%M:%SZ}."
    require(uow.now < proposal.expires_at, "proposal-expired", expired)
    words = "You proposed this, by this account or another one; another admin decides on it."
    require_second_person(uow, words, proposal.maker)
    resource, _, action = proposal.permission.partition(":")
    uow.need(resource, action)
    assert uow.stamp.admin, "an admin decides"
    admin = uow.read(AdminUser, uow.stamp.admin)
    role = uow.read(AdminRole, admin.role_id)
    if any(at and at > proposal.created_at for at in (admin.touched_at, role.changed_at)):
        words = (
            "An admin changed your account or its role after this was proposed; another decides."
        )
        raise Forbidden("separation-of-duties", words)


def _tried(
    proposal: Proposal, proposed: ProposedCommand, uow: UnitOfWork
) -> tuple[list[Effect], Refused | None]:
    """Return what the command of a proposal does now, or why a rule forbids it to its maker."""
    trial = uow.trial()
    try:
        with _acting_for_maker(proposal, trial):
            proposed.perform(trial)
    except Refused as refusal:
        return [], refusal
    return proposed.effects(uow, trial), None


def _require_unmoved(
    proposal: Proposal,
    seen: Mapping[UUID, int],
    effects: list[Effect],
    refusal: Refused | None,
    uow: UnitOfWork,
) -> None:
    """Raise Refused (`stale-proposal`) if a stream has another version than the proposal was
    decided on, or the checker has seen: what was changed, and what the command does now."""
    uow.look_ahead(partial(uow.version, each.id) for each in proposal.decided_on)
    then = {each.id: each.fields for each in proposal.effects}
    now = {each.id: each.fields for each in effects}
    changed = [
        {
            "entity": each.entity,
            "id": each.id,
            "version": {"old": each.version, "new": uow.version(each.id)},
            "fields": _moved(then.get(each.id, {}), now.get(each.id, {})),
        }
        for each in proposal.decided_on
        if uow.version(each.id) != seen.get(each.id, each.version)
    ]
    if changed:
        names = sorted({str(each["entity"]) for each in changed})
        words = f"Something that this was decided on has changed since: {', '.join(names)}."
        more = {"refusal": refusal.code} if refusal else {"effects": to_builtins(effects)}
        raise Refused("stale-proposal", words, changed=changed, **more)


def _moved(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the command found otherwise: as they were, and as they are."""
    return {
        name: {"old": then[name]["old"], "new": now[name]["old"]}
        for name in then.keys() & now.keys()
        if then[name]["old"] != now[name]["old"]
    }


@contextmanager
def _acting_for_maker(proposal: Proposal, uow: UnitOfWork) -> Iterator[None]:
    """Within this block, the maker acts with their present rights, and the caller has approved it.
    Raises Refused if the maker, or the API key that proposed, may not act any more."""
    maker = uow.read(AdminUser, proposal.maker)
    active = maker.status is AdminStatus.ACTIVE
    require(active, "maker-not-active", "The admin who proposed this is not active any more.")
    key = uow.read(ApiKey, proposal.api_key) if proposal.api_key else None
    ended = "The API key that proposed this has ended."
    require(key is None or key.lives(uow.now), "maker-not-active", ended)
    before = uow.stamp, uow.rights, uow.role_limits, uow.contacts, uow.guard
    stamp = replace(uow.stamp, at=uow.now, approved_by=uow.stamp.actor)
    take_on(maker, uow, key)
    uow.stamp, uow.guard = replace(stamp, actor=uow.stamp.actor), None
    uow.act_upon(proposal.id)
    try:
        resource, _, action = proposal.permission.partition(":")
        uow.need(resource, action)
        yield
    finally:
        uow.stamp, uow.rights, uow.role_limits, uow.contacts, uow.guard = before
