"""Commands on API keys, and the rules for what a key may grant."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, PrivateAttr

from rim_ledger.admin.admin_role import AdminRole, refuse_escalation
from rim_ledger.admin.admin_user import AdminApiKeyAdded, AdminApiKeyRemoved, AdminStatus, AdminUser
from rim_ledger.admin.api_key import (
    ApiKey,
    ApiKeyCreated,
    ApiKeyRevoked,
    require_session,
)
from rim_ledger.admin.permissions import Permissions, rights
from rim_ledger.admin.same_person import require_no_greater
from rim_ledger.admin.security_settings import AddressRules
from rim_ledger.admin.session import claim_token
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.refusals import Forbidden, Invalid, require
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.values import Id, Name, Time

KEYS_MAX: Final = 50
"""Active keys per admin."""
PERSONS: Final[Right] = ("users.pii", "read")


class CreateApiKey(Creation[ApiKey]):
    """Create an API key with some of one's own rights: for oneself or, read-only, for another
    admin. The key is shown once."""

    name: Name
    permissions: Annotated[Permissions, Field(min_length=1)]
    admin_id: Annotated[
        Id | None, Field(description="Whom it acts for; the caller, when left out.")
    ] = None
    expires_at: Time | None = None
    ip_whitelist: AddressRules = []
    _key: str = PrivateAttr(default="")

    def known_by(self, key: str) -> "CreateApiKey":
        """Return a copy of the form with a generated key; the ledger stores its hash only."""
        return self.prepared(_key=key)

    @property
    def key(self) -> str:
        """The generated key."""
        return self._key

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        require_session(uow)
        refuse_escalation(rights(self.permissions), uow)
        if self.expires_at and self.expires_at <= uow.now:
            raise Invalid("expires-in-past", "The key would have run out already.", "/expiresAt")
        assert uow.stamp.admin is not None, "an admin holds the session"
        owner = self.admin_id or uow.stamp.admin
        if owner != uow.stamp.admin:
            self._require_fit_for(uow.find(AdminUser, owner), uow)
        assert self._key, "the key is made up before the decision"
        keys = uow.read(AdminUser, owner).api_keys
        living = sum(uow.read(ApiKey, key).lives(uow.now) for key in keys)
        require(living < KEYS_MAX, "too-many-keys", f"An admin has at most {KEYS_MAX} API keys.")
        token = claim_token(uow, self._key, id)
        uow.append(AdminUser, owner, [AdminApiKeyAdded(key_id=id)])
        yield ApiKeyCreated.of(self, owner=owner, token=token)

    def _require_fit_for(self, other: AdminUser | None, uow: UnitOfWork) -> None:
        """Refuse a key for another admin that could act in that admin's name: its creator may keep
        it, so it may only read, and only what both may read."""
        if other is None:
            raise Invalid("unknown-admin", "There is no such admin.", "/adminId")
        require_no_greater(other, uow)
        require(other.status is AdminStatus.ACTIVE, "admin-not-active", "The admin is not active.")
        given = rights(self.permissions)
        if more := _named(each for each in given if each == PERSONS or each[1] != "read"):
            words = "A key for another admin only reads, and sees no persons; they make others."
            raise Forbidden("key-reads-only", words, beyond=more)
        if lacking := _named(given - uow.read(AdminRole, other.role_id).rights):
            words = "The admin whom the key is for lacks these rights."
            raise Forbidden("privilege-escalation", words, lacking=lacking)


class RevokeApiKey(Command[ApiKey]):
    """Revoke a key of one's own, or of an admin with no more rights than the caller."""

    def decide(self, aggregate: ApiKey, uow: UnitOfWork) -> Iterable[Event]:
        require_no_greater(uow.read(AdminUser, aggregate.owner), uow)
        uow.append(AdminUser, aggregate.owner, [AdminApiKeyRemoved(key_id=aggregate.id)])
        yield ApiKeyRevoked()


def _named(given: Iterable[Right]) -> list[str]:
    return sorted(f"{resource}:{action}" for resource, action in given)
