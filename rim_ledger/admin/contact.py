"""Contact details of an admin: e-mail, name and phone."""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from rim_ledger.admin.admin_user import AdminContactChanged, AdminUser
from rim_ledger.admin.api_key import require_session
from rim_ledger.admin.other_admins import require_no_greater
from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid, Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support.support_agent import SupportAgent, agent_stream
from rim_ledger.values import Email, Name, Phone


def claim_email(uow: UnitOfWork, email: str, admin: UUID) -> str:
    """Claim an e-mail for an admin by its keyed hash, and return the hash."""
    hashed = uow.fingerprint("email", email.casefold())
    taken = Refused("email-taken", "Another admin has this e-mail address.")
    uow.claim("admin-email", hashed, admin, taken)
    return hashed


class EditAdmin(Patch[AdminUser]):
    """Change e-mail, name or phone of oneself, or of an admin with no more rights than the caller;
    omitted fields stay as they are. Support agents need a phone."""

    CLEARS = frozenset({"name", "phone"})

    email: Email | None = None
    name: Name | None = None
    phone: Phone | None = None

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_no_greater(aggregate, uow)
        changes = self.changes(aggregate, partial(uow.reveal, aggregate.id))
        email, phone = changes.get("email"), changes.get("phone")
        cleared = tuple(sorted(field for field, value in changes.items() if value is None))
        moved = changes.keys() & {"email", "phone"}
        if moved and aggregate.two_factor not in (None, TwoFactorMethod.APP):
            require_session(uow)  # Codes of the second factor are sent there.
        if "phone" in cleared:
            _require_dispensable(aggregate, uow)
        if not changes:
            return
        event = AdminContactChanged(
            **changes,
            email_hash=email and claim_email(uow, email, aggregate.id),
            phone_hash=phone and uow.fingerprint("phone", phone),
            cleared=cleared,
        )
        if event.email_hash and event.email_hash != aggregate.email_hash:
            uow.release("admin-email", aggregate.email_hash)
        yield event


def _require_dispensable(admin: AdminUser, uow: UnitOfWork) -> None:
    """Refuse to remove the phone of a support agent, or one that codes are sent to."""
    agent = uow.find(SupportAgent, agent_stream(admin.id))
    if agent and not agent.archived:
        raise Invalid("agent-without-phone", "A support agent has a phone: give another.", "/phone")
    sent = admin.two_factor is TwoFactorMethod.SMS
    require(not sent, "no-phone", "The codes of the second factor are sent to this phone.")
