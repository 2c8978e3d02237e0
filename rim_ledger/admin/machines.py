"""Giving machines access: who makes an API key, what it may do at most, how it ends."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, PrivateAttr

from rim_ledger.admin.addresses import AddressRules, admits
from rim_ledger.admin.admin_role import refuse_escalation
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.admin_user_events import AdminApiKeyAdded, AdminApiKeyRemoved
from rim_ledger.admin.api_key import (
    NOTED_EVERY,
    ApiKey,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyUsed,
    require_session,
)
from rim_ledger.admin.others import require_no_greater
from rim_ledger.admin.permissions import Permissions, rights
from rim_ledger.book import Book
from rim_ledger.core import Command, Creation, Event, Forbidden, Invalid, Refused, require
from rim_ledger.values import Name, Time

KEYS_MAX: Final = 50
"""Living keys of one admin."""


class CreateApiKey(Creation[ApiKey]):
    """Let a machine act for oneself, within some of one's own rights. The key is told once."""

    name: Name
    permissions: Annotated[Permissions, Field(min_length=1)]
    expires_at: Time | None = None
    ip_whitelist: AddressRules = []
    _token: str = PrivateAttr(default="")

    def known_by(self, token: str) -> "CreateApiKey":
        """The same form for a key that was made up; the ledger knows the key by this hash."""
        ready = self.model_copy()
        ready._token = token
        return ready

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        require_session(book)
        refuse_escalation(rights(self.permissions), book)
        if self.expires_at and self.expires_at <= book.now:
            raise Invalid("expires-in-past", "The key would have run out already.", "/expiresAt")
        owner = book.stamp.admin
        assert owner is not None, "whoever holds a session is an admin"
        assert self._token, "the key is made up before the decision"
        keys = book.read(AdminUser, owner).api_keys
        living = sum(book.read(ApiKey, key).lives(book.now) for key in keys)
        require(living < KEYS_MAX, "too-many-keys", f"An admin has at most {KEYS_MAX} API keys.")
        taken = Refused("already-exists", "The key is taken.")
        book.claim("token", self._token, id, taken)
        book.append(AdminUser, owner, [AdminApiKeyAdded(key_id=id)])
        yield ApiKeyCreated(
            name=self.name,
            owner=owner,
            token=self._token,
            permissions=self.permissions,
            expires_at=self.expires_at,
            ip_whitelist=self.ip_whitelist,
        )


class RevokeApiKey(Command[ApiKey]):
    """End a key of one's own, or of an admin with no more rights than the caller."""

    def decide(self, aggregate: ApiKey, book: Book) -> Iterable[Event]:
        require_no_greater(book.read(AdminUser, aggregate.owner), book)
        book.release("token", aggregate.token)
        book.append(AdminUser, aggregate.owner, [AdminApiKeyRemoved(key_id=aggregate.id)])
        yield ApiKeyRevoked()


def require_admitted(key: ApiKey, book: Book) -> None:
    """Refuse a key at an address that it is not made for."""
    if not admits(book.stamp.ip, key.ip_whitelist, ()):
        raise Forbidden("ip-blocked", "This API key is not let in from this address.")


def note_use(key: ApiKey, book: Book) -> None:
    """Remember that a key is in use, if that was not noted lately."""
    if key.last_used_at is None or book.now - key.last_used_at >= NOTED_EVERY:
        book.append(ApiKey, key.id, [ApiKeyUsed()])
