"""All read tables, each after those it references."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from projections.activity import AdminActivityLogRow
from projections.admin import AdminRoleRow, AdminUserRow, ApiKeyRow, SecuritySettingsRow
from projections.alerts import SystemAlertRow
from projections.approvals import ApprovalRuleRow, ProposalRow
from projections.audit import AuditLogRow
from projections.backups import BackupRow, BackupSettingsRow, OutboundRow
from projections.conversation import ChatMessageRow, TicketHistoryRow
from projections.journal import JournalEntryRow, JournalLineRow
from projections.lending import FloatRow, LoanProductRow, LoanRow, UserRow
from projections.notifications import (
    BroadcastChunkRow,
    BroadcastRow,
    EmailTemplateRow,
    NotificationRow,
    SmsTemplateRow,
)
from projections.payments import SettlementRow, StatementLineRow, StatementRow, TransactionRow
from projections.refused_requests import RefusedRequestRow
from projections.support import DepartmentRow, SupportAgentRow, TicketRow
from projections.system import ApiIntegrationRow, SystemConfigRow
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES

TABLES: Final[Mapping[str, type[Row]]] = MappingProxyType(
    {
        row.TABLE: row
        for row in (
            AdminRoleRow,
            AdminUserRow,
            ApiKeyRow,
            SecuritySettingsRow,
            ApprovalRuleRow,
            ProposalRow,
            UserRow,
            LoanProductRow,
            LoanRow,
            FloatRow,
            TransactionRow,
            StatementRow,
            SettlementRow,
            DepartmentRow,
            SupportAgentRow,
            TicketRow,
            SystemAlertRow,
            BroadcastRow,
            BroadcastChunkRow,
            NotificationRow,
            EmailTemplateRow,
            SmsTemplateRow,
            SystemConfigRow,
            ApiIntegrationRow,
            BackupSettingsRow,
            BackupRow,
            OutboundRow,
            AuditLogRow,
            JournalEntryRow,
            JournalLineRow,
            StatementLineRow,
            ChatMessageRow,
            TicketHistoryRow,
        )
    }
)

VIEWS: Final[tuple[type[Row], ...]] = (AdminActivityLogRow, RefusedRequestRow)
"""Read like tables, but built by a query instead of events."""

ROW_OF: Final[Mapping[type[Any], type[Row]]] = MappingProxyType(
    {row.OF: row for row in TABLES.values()}
)

TRACES: Final = tuple(row for row in TABLES.values() if row.OF not in ENTITIES)
"""Append-only tables."""
