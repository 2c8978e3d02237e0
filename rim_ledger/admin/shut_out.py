"""Shutting an admin out: sessions, API keys, and the token that was sent last lead nowhere."""

from functools import partial

from rim_ledger.admin.admin_user import AdminApiKeyRemoved, AdminUser
from rim_ledger.admin.api_key import ApiKey, ApiKeyRevoked
from rim_ledger.book import Book


def close_sessions(admin: AdminUser, book: Book) -> None:
    """Let the tokens of an admin's sessions be forgotten, as the event after this ends them."""
    for session in admin.sessions:
        book.release("token", session)


def end_api_keys(admin: AdminUser, book: Book) -> None:
    """End every API key of an admin for good, at once with the event after this."""
    book.look_ahead(partial(book.find, ApiKey, key) for key in admin.api_keys)
    for key in sorted(admin.api_keys):
        book.release("token", book.read(ApiKey, key).token)
        book.append(ApiKey, key, [ApiKeyRevoked()])
        book.append(AdminUser, admin.id, [AdminApiKeyRemoved(key_id=key)])


def void_token(admin: AdminUser, book: Book) -> None:
    """Let the token that was sent last lead nowhere; the event after this says why."""
    if admin.one_time:
        book.release("token", admin.one_time.token)
