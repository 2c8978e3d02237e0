"""Shutting an admin out: sessions, API keys, and the token that was sent last lead nowhere."""

from functools import partial

from rim_ledger.admin.admin_user import AdminApiKeyRemoved, AdminUser
from rim_ledger.admin.api_key import ApiKey, ApiKeyRevoked
from rim_ledger.engine.unit_of_work import UnitOfWork


def close_sessions(admin: AdminUser, uow: UnitOfWork) -> None:
    """Let the tokens of an admin's sessions be forgotten, as the event after this ends them."""
    for session in admin.sessions:
        uow.release("token", session)


def end_api_keys(admin: AdminUser, uow: UnitOfWork) -> None:
    """End every API key of an admin for good, at once with the event after this."""
    uow.look_ahead(partial(uow.find, ApiKey, key) for key in admin.api_keys)
    for key in sorted(admin.api_keys):
        uow.release("token", uow.read(ApiKey, key).token)
        uow.append(ApiKey, key, [ApiKeyRevoked()])
        uow.append(AdminUser, admin.id, [AdminApiKeyRemoved(key_id=key)])


def void_token(admin: AdminUser, uow: UnitOfWork) -> None:
    """Let the token that was sent last lead nowhere; the event after this says why."""
    if admin.one_time:
        uow.release("token", admin.one_time.token)
