"""Admins, their roles and the security settings as clients see them."""

from typing import Annotated
from uuid import UUID

from projections.tables.columns import (
    Copied,
    EmailText,
    FromAttribute,
    Indexed,
    Key,
    Moment,
    Naira,
    NameText,
    PhoneText,
    Read,
    References,
    Sql,
    Unique,
    UniqueName,
    UniqueWhile,
)
from projections.tables.table import Row
from rim_ledger.admin.admin_commands import Username
from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.permissions import Permission
from rim_ledger.admin.security_settings import SecuritySettings, TwoFactorMethod


class AdminRoleRow(Row, table="admin_roles", of=AdminRole):
    """A role: what its members may do, and how many they are."""

    id: Key
    name: Annotated[UniqueName, UniqueWhile("NOT archived")]
    description: str
    permissions: Annotated[list[Permission], Sql("json")]
    max_amount: Naira | None
    max_limit: Naira | None
    user_count: int
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class AdminUserRow(Row, table="admin_users", of=AdminUser, person="id"):
    """An admin. Passwords, sessions and second factors are nowhere in it."""

    id: Key
    username: Annotated[str, Unique, Read(Username)]
    email: Annotated[EmailText | None, Unique]
    name: NameText | None
    display_name: NameText | None
    phone: PhoneText | None
    role: Annotated[str, Copied("admin_roles", "name", by="role_id")]
    role_id: Annotated[UUID, Indexed, References("admin_roles")]
    status: Annotated[AdminStatus, Indexed]
    last_login: Moment | None
    two_factor_enabled: bool
    created_at: Annotated[Moment, Indexed]
    created_by: Annotated[UUID | None, References("admin_users")]
    updated_at: Moment


class SecuritySettingsRow(Row, table="security_settings", of=SecuritySettings, newest="updated_at"):
    """How people get in. Timeout and lockout are in minutes."""

    id: Key
    password_min_length: int
    password_require_uppercase: bool
    password_require_lowercase: bool
    password_require_numbers: bool
    password_require_special_chars: bool
    session_timeout: int
    max_login_attempts: int
    lockout_duration: int
    two_factor_required: bool
    two_factor_method: TwoFactorMethod
    ip_whitelist: Annotated[list[str], Sql("json")]
    ip_blacklist: Annotated[list[str], Sql("json")]
    updated_at: Moment


class ApiKeyRow(Row, table="api_keys", of=ApiKey):
    """A machine's access: what it may do at most, for whom, until when. The key is nowhere."""

    id: Key
    name: str
    admin_id: Annotated[UUID, Indexed, References("admin_users"), FromAttribute("owner")]
    username: Annotated[str, Copied("admin_users", "username", by="admin_id")]
    permissions: Annotated[list[Permission], Sql("json")]
    ip_whitelist: Annotated[list[str], Sql("json")]
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Annotated[Moment | None, Indexed]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment
