"""The beginning: built-in roles, settings and the first super-admin, where they are missing."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
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
from rim_ledger.delivery.kill_switch import open_at_first
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.command import perform
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.engine.role_limits import RoleLimits
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.system import backup_settings
from rim_ledger.system.config import set_defaults
from rim_ledger.values import ZERO, derived_id

FIRST_ADMIN: Final = derived_id("first-admin")
USERNAME: Final = "admin"
OFFICER: Final = "officer"
DOMAIN: Final = "rim.example"
"""Where both have their e-mail; RFC 2606 keeps it for nobody: change it to your own."""


def _may(read: str = "", write: str = "", delete: str = "") -> frozenset[Right]:
    """Rights from words: writing and deleting go with reading."""
    both = {(each, "read") for each in f"{read} {write} {delete}".split()}
    return frozenset(
        both
        | {(each, "write") for each in write.split()}
        | {(each, "delete") for each in delete.split()}
    )


LENDS_NOTHING: Final = RoleLimits(max_amount=ZERO, max_limit=ZERO)
"""Of roles that decide about no loan: nor do they where somebody gives them the right to, until
the bounds are raised as well."""
CAPS: Final[Mapping[str, RoleLimits]] = {
    "superadmin": RoleLimits(),
    "loan_officer": RoleLimits(max_amount=Decimal("20000.00"), max_limit=Decimal("20000.00")),
}
"""How far the rights of a built-in role reach, if that is not LENDS_NOTHING. An officer's: twice
the highest limit that the policy gives by itself."""

BUILT_IN: Final[dict[str, tuple[str, frozenset[Right]]]] = {
    "superadmin": ("Everything. Cannot be changed or deleted.", ALL),
    "loan_officer": (
        "Registers borrowers; decides, disburses and follows their loans.",
        _may(
            read="users.pii transactions tickets journal config notifications",
            write="users users.credit loans loans.approval loans.disbursement loans.default"
            " loans.fees simulations",
        ),
    ),
    "finance": (
        "Records money, refunds, reverses and reconciles it; keeps the books.",
        _may(
            read="users users.pii users.credit loans loans.disbursement journal events config"
            " notifications",
            write="transactions transactions.cash transactions.refund transactions.reversal"
            " transactions.reconciliation statements loans.default loans.fees loans.waiver"
            " loans.writeoff simulations",
        ),
    ),
    "support_agent": (
        "Answers borrowers; sees their loans and payments.",
        _may(
            read="users users.pii loans transactions agents departments templates notifications",
            write="tickets",
        ),
    ),
    "support_lead": (
        "Runs the support desk: every ticket, its agents and departments.",
        _may(
            read="users users.pii users.credit loans transactions templates notifications"
            " activity_logs",
            write="tickets tickets.all agents departments",
            delete="agents departments",
        ),
    ),
    "marketing": (
        "Writes templates and broadcasts, and sends them; sees no personal data.",
        _may(
            read="users notifications",
            write="broadcasts broadcasts.send templates",
            delete="broadcasts templates",
        ),
    ),
    "analyst": (
        "Reads the figures, without personal data.",
        _may(
            read="users users.credit loans loans.approval loans.disbursement loans.default"
            " loans.fees loans.waiver loans.writeoff transactions transactions.refund"
            " transactions.reversal transactions.reconciliation statements tickets tickets.all"
            " agents departments events journal broadcasts notifications config",
            write="simulations",
        ),
    ),
    "auditor": (
        "Reads everything and writes nothing.",
        frozenset((resource, "read") for resource in RESOURCES),
    ),
}


async def bootstrap(
    ledger: Ledger,
    password: str | None,
    environment: Environment,
    tell: Callable[[str], None] = lambda _: None,
) -> str | None:
    """Make what is missing. Safe to repeat, and in two processes at once.

    Answers the password that was made up for the first super-admin; None when it was given or when
    that admin was there already. `tell` has it before, so that none counts that nobody was told;
    what it raises leaves that admin unmade. Raises Invalid (`weak-password`) for a
    given password that is too weak.
    """
    who = _First(FIRST_ADMIN, USERNAME, SUPERADMIN)
    return await _begin(ledger, who, password, environment, tell)


async def take_on_officer(
    ledger: Ledger,
    password: str | None,
    environment: Environment,
    tell: Callable[[str], None] = lambda _: None,
) -> str | None:
    """Make a loan officer beside the first super-admin, who is still to come: two people are needed
    to lend. Answers and raises what `bootstrap` does; None also where the first admin is there."""
    who = _First(derived_id("first-officer"), OFFICER, builtin_id("loan_officer"))
    return await _begin(ledger, who, password, environment, tell)


class _First(NamedTuple):
    """Whom the beginning makes."""

    id: UUID
    username: str
    role: UUID


async def _begin(
    ledger: Ledger,
    who: _First,
    password: str | None,
    environment: Environment,
    tell: Callable[[str], None],
) -> str | None:
    made_up = urlsafe_b64encode(environment.random(18)).decode()
    admin = CreateAdmin(
        username=who.username,
        email=f"{who.username}@{DOMAIN}",
        role_id=who.role,
        password=_checked(made_up if password is None else password),
    )

    def make(uow: UnitOfWork) -> tuple[UUID, bool]:
        for name in BUILT_IN:
            _make_role(uow, name)
        set_defaults(uow)
        security_settings.set_defaults(uow)
        backup_settings.set_defaults(uow)
        open_at_first(uow)
        return SUPERADMIN, uow.find(AdminUser, FIRST_ADMIN) is not None

    stamp = Stamp(at=environment.now(), actor=SYSTEM)
    _, begun_before = await ledger.decide(make, stamp)
    if begun_before:
        return None
    ready = await admin.hashed()
    if password is None:
        tell(made_up)
    try:
        await ledger.execute(AdminUser, who.id, ready, stamp)
    except Refused as refusal:
        if refusal.code != "already-exists":
            raise
        return None
    return made_up if password is None else None


def _make_role(uow: UnitOfWork, name: str) -> None:
    """Make a built-in role once. It also gets what a later release of the program adds, unless an
    admin edited it. A name that somebody else's role has by now stays with it."""
    stream, (description, rights) = builtin_id(name), BUILT_IN[name]
    given, role_limits = permissions(rights), CAPS.get(name, LENDS_NOTHING)
    role = uow.find(AdminRole, stream)
    if role is None:
        if ROLE_NAMES.holder(uow, name) is None:
            wish = CreateRole(
                name=name,
                description=description,
                permissions=given,
                max_amount=role_limits.max_amount,
                max_limit=role_limits.max_limit,
            )
            perform(uow, AdminRole, stream, wish)
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
