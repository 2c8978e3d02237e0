"""Bootstrap: create built-in roles, settings and the first super-admin where they are missing."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from pydantic import SecretStr, TypeAdapter, ValidationError

from rim_ledger.admin import security_settings
from rim_ledger.admin.admin_commands import CreateAdmin
from rim_ledger.admin.admin_role import (
    ROLE_NAMES,
    SUPERADMIN,
    AdminRole,
    AdminRoleChanged,
    CreateRole,
    builtin_id,
)
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.passwords import FirstPassword
from rim_ledger.admin.permissions import ALL, RESOURCES, permissions
from rim_ledger.delivery.kill_switch import set_outbound_default
from rim_ledger.engine.command import perform
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.engine.unit_of_work import Right, RoleLimits, UnitOfWork
from rim_ledger.system import backup_settings
from rim_ledger.system.config import set_defaults
from rim_ledger.values import ZERO, derived_id

FIRST_ADMIN: Final = derived_id("first-admin")
USERNAME: Final = "admin"
OFFICER: Final = "officer"
DOMAIN: Final = "rim.example"
"""Domain of both accounts' e-mail, reserved by RFC 2606: change it to your own."""


def _rights(read: str = "", write: str = "", delete: str = "") -> frozenset[Right]:
    """Return the rights on space-separated resources; writing and deleting include reading."""
    both = {(each, "read") for each in f"{read} {write} {delete}".split()}
    return frozenset(
        both
        | {(each, "write") for each in write.split()}
        | {(each, "delete") for each in delete.split()}
    )


LENDS_NOTHING: Final = RoleLimits(max_amount=ZERO, max_limit=ZERO)
"""Limits of roles that decide about no loan. They hold even if a role is given the right to, until
the limits are raised as well."""
CAPS: Final[Mapping[str, RoleLimits]] = {
    "superadmin": RoleLimits(),
    "loan_officer": RoleLimits(max_amount=Decimal("20000.00"), max_limit=Decimal("20000.00")),
}
"""Limits of the built-in roles that do not have LENDS_NOTHING, in naira. The officer's are twice
the highest limit that the policy grants automatically."""

BUILT_IN: Final[dict[str, tuple[str, frozenset[Right]]]] = {
    "superadmin": ("Everything. Cannot be changed or deleted.", ALL),
    "loan_officer": (
        "Registers borrowers; decides, disburses and follows their loans.",
        _rights(
            read="users.pii loan_products transactions tickets journal config notifications float",
            write="users users.credit loans loans.approval loans.disbursement loans.default"
            " loans.fees loans.reschedule proposals simulations",
        ),
    ),
    "finance": (
        "Records money, refunds, reverses and reconciles it; keeps the books.",
        _rights(
            read="users users.pii users.credit loans loans.disbursement loan_products journal"
            " events config notifications",
            write="transactions transactions.cash transactions.refund transactions.reversal"
            " transactions.reconciliation statements loans.default loans.fees loans.waiver"
            " loans.writeoff loans.reschedule proposals settlements float simulations",
        ),
    ),
    "support_agent": (
        "Answers borrowers; sees their loans and payments.",
        _rights(
            read="users users.pii loans loan_products transactions agents departments templates"
            " notifications proposals",
            write="tickets",
        ),
    ),
    "support_lead": (
        "Runs the support desk: every ticket, its agents and departments.",
        _rights(
            read="users users.pii users.credit loans loan_products transactions templates"
            " notifications activity_logs proposals",
            write="tickets tickets.all agents departments",
            delete="agents departments",
        ),
    ),
    "marketing": (
        "Writes templates and broadcasts, and sends them; sees no personal data.",
        _rights(
            read="users notifications proposals",
            write="broadcasts broadcasts.send templates",
            delete="broadcasts templates",
        ),
    ),
    "analyst": (
        "Reads the figures, without personal data.",
        _rights(
            read="users users.credit loans loans.approval loans.disbursement loans.default"
            " loans.fees loans.waiver loans.writeoff loans.reschedule loan_products transactions"
            " transactions.refund transactions.reversal transactions.reconciliation statements"
            " tickets tickets.all agents departments events journal broadcasts notifications"
            " config settlements float",
            write="simulations",
        ),
    ),
    "auditor": (
        "Reads everything and writes nothing.",
        frozenset((resource, "read") for resource in RESOURCES),
    ),
}


class _NewAdmin(NamedTuple):
    """An account to create."""

    id: UUID
    username: str
    role: UUID


_FIRST: Final = _NewAdmin(FIRST_ADMIN, USERNAME, SUPERADMIN)


async def bootstrap(
    ledger: Ledger,
    password: str | None,
    environment: Environment,
    notify: Callable[[str], None] = lambda _: None,
    who: _NewAdmin = _FIRST,
) -> str | None:
    """Create what is missing. Idempotent, and safe in two processes at once.

    Returns the password generated for the first super-admin, or for `who` before that one; None if
    one was given or the admin existed. `notify` receives it before the admin is created, so that no
    unknown password takes effect; if it raises, the admin is not created. Raises Invalid
    (`weak-password`) for a given password that is too weak.
    """
    generated = urlsafe_b64encode(environment.random(18)).decode()
    admin = CreateAdmin(
        username=who.username,
        email=f"{who.username}@{DOMAIN}",
        role_id=who.role,
        password=_checked(generated if password is None else password),
    )

    def make(uow: UnitOfWork) -> bool:
        for name in BUILT_IN:
            _make_role(uow, name)
        set_defaults(uow)
        security_settings.set_defaults(uow)
        backup_settings.set_defaults(uow)
        set_outbound_default(uow)
        return uow.find(AdminUser, FIRST_ADMIN) is not None

    if await ledger.run(make):  # It was begun before.
        return None
    ready = await admin.hashed()
    if password is None:
        notify(generated)
    try:
        await ledger.run(lambda uow: perform(uow, AdminUser, who.id, ready))
    except Refused as refusal:
        if refusal.code != "already-exists":
            raise
        return None
    return generated if password is None else None


create_officer = partial(
    bootstrap, who=_NewAdmin(derived_id("first-officer"), OFFICER, builtin_id("loan_officer"))
)
"""Creates a loan officer before the first super-admin, because lending takes two people."""


def _make_role(uow: UnitOfWork, name: str) -> None:
    """Create a built-in role unless its name is taken. It also gets what a later release adds,
    unless an admin edited it."""
    stream, (description, rights) = builtin_id(name), BUILT_IN[name]
    given, role_limits = permissions(rights), CAPS.get(name, LENDS_NOTHING)
    role = uow.find(AdminRole, stream)
    if role is None:
        if ROLE_NAMES.holder(uow, name) is None:
            command = CreateRole(
                name=name,
                description=description,
                permissions=given,
                max_amount=role_limits.max_amount,
                max_limit=role_limits.max_limit,
            )
            perform(uow, AdminRole, stream, command)
    elif stream == SUPERADMIN or not (role.edited or role.archived):
        changes: dict[str, Any] = {}
        if role.permissions != given:
            changes["permissions"] = given
        if role.role_limits != role_limits:
            changes |= msgspec.structs.asdict(role_limits)
        if changes:
            uow.append(AdminRole, stream, [AdminRoleChanged(**changes)])


def _checked(password: str) -> SecretStr:
    try:
        return TypeAdapter(FirstPassword).validate_python(SecretStr(password))
    except ValidationError as error:
        raise Invalid("weak-password", error.errors()[0]["msg"], "/password") from None
