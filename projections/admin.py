"""Admins and their roles as clients see them."""

from typing import Annotated
from uuid import UUID

from projections.columns import (
    Copied,
    EmailText,
    Indexed,
    Json,
    Key,
    Moment,
    NameText,
    PhoneText,
    References,
    Unique,
    UniqueWhile,
)
from projections.tables import Row
from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import AdminStatus, AdminUser


class AdminRoleRow(Row, table="admin_roles", of=AdminRole):
    """A role: what its members may do, and how many they are."""

    id: Key
    name: Annotated[str, UniqueWhile("NOT archived")]
    description: str
    permissions: Json
    user_count: int
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class AdminUserRow(Row, table="admin_users", of=AdminUser, person="id"):
    """An admin. Passwords, sessions and second factors are nowhere in it."""

    id: Key
    username: Annotated[str, Unique]
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
