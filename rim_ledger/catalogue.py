"""The catalogue of entities, and the events of each."""

from typing import Any, Final, get_args

from rim_ledger.admin.admin_role import AdminRole, AdminRoleCreated, AdminRoleEvent
from rim_ledger.admin.admin_user import AdminCreated, AdminUser, AdminUserEvent
from rim_ledger.admin.api_key import ApiKey, ApiKeyCreated, ApiKeyEvent
from rim_ledger.admin.security_settings import SecuritySettings, SecuritySettingsChanged
from rim_ledger.approvals.approval_rule import (
    ApprovalRule,
    ApprovalRuleCreated,
    ApprovalRuleEvent,
)
from rim_ledger.approvals.proposal import CommandProposed, Proposal, ProposalEvent
from rim_ledger.customers.access import CustomerAccess, CustomerAccessEvent, CustomerLoggedIn
from rim_ledger.delivery.kill_switch import Outbound, OutboundEvent
from rim_ledger.engine.adopted_secrets import AdoptedSecrets, NamesAdopted, SecretsAdopted
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.lending.airtime_float import AirtimeFloat, FloatEvent
from rim_ledger.lending.loan import Loan, LoanEvent, LoanRequested
from rim_ledger.lending.product import LoanProduct, LoanProductCreated, LoanProductEvent
from rim_ledger.lending.user import User, UserEvent, UserRegistered
from rim_ledger.notifications.alert import AlertCreated, AlertEvent, SystemAlert
from rim_ledger.notifications.broadcast import (
    BroadcastChunk,
    BroadcastChunkEvent,
    BroadcastDrafted,
    BroadcastEvent,
    BroadcastMessage,
    ChunkFrozen,
)
from rim_ledger.notifications.notification import (
    NotificationEvent,
    NotificationHistory,
    NotificationQueued,
)
from rim_ledger.notifications.template import (
    EmailTemplate,
    EmailTemplateCreated,
    EmailTemplateEvent,
    SmsTemplate,
    SmsTemplateCreated,
    SmsTemplateEvent,
)
from rim_ledger.payments.settlement import (
    ClearingSettled,
    ProviderClearing,
    Settlement,
    SettlementRecorded,
)
from rim_ledger.payments.statement import Statement, StatementEvent, StatementStarted
from rim_ledger.payments.transaction import Transaction, TransactionEvent, TransactionRecorded
from rim_ledger.support.department import Department, DepartmentCreated, DepartmentEvent
from rim_ledger.support.support_agent import AgentCreated, SupportAgent, SupportAgentEvent
from rim_ledger.support.ticket import Ticket, TicketEvent, TicketOpened
from rim_ledger.system.backup import Backup, BackupEvent, BackupStarted
from rim_ledger.system.backup_settings import BackupSettings, BackupSettingsEvent
from rim_ledger.system.config import SystemConfig, SystemConfigReset, SystemConfigSet
from rim_ledger.system.integration import ApiIntegration, IntegrationCreated, IntegrationEvent

ENTITIES: Final[dict[type[Aggregate], Any]] = {
    User: UserRegistered | UserEvent,
    CustomerAccess: CustomerLoggedIn | CustomerAccessEvent,
    LoanProduct: LoanProductCreated | LoanProductEvent,
    Loan: LoanRequested | LoanEvent,
    AirtimeFloat: FloatEvent,
    Transaction: TransactionRecorded | TransactionEvent,
    Settlement: SettlementRecorded,
    ProviderClearing: ClearingSettled,
    Statement: StatementStarted | StatementEvent,
    Department: DepartmentCreated | DepartmentEvent,
    SupportAgent: AgentCreated | SupportAgentEvent,
    Ticket: TicketOpened | TicketEvent,
    BroadcastMessage: BroadcastDrafted | BroadcastEvent,
    BroadcastChunk: ChunkFrozen | BroadcastChunkEvent,
    NotificationHistory: NotificationQueued | NotificationEvent,
    EmailTemplate: EmailTemplateCreated | EmailTemplateEvent,
    SmsTemplate: SmsTemplateCreated | SmsTemplateEvent,
    AdminRole: AdminRoleCreated | AdminRoleEvent,
    AdminUser: AdminCreated | AdminUserEvent,
    ApiKey: ApiKeyCreated | ApiKeyEvent,
    SecuritySettings: SecuritySettingsChanged,
    ApprovalRule: ApprovalRuleCreated | ApprovalRuleEvent,
    Proposal: CommandProposed | ProposalEvent,
    SystemAlert: AlertCreated | AlertEvent,
    SystemConfig: SystemConfigSet | SystemConfigReset,
    BackupSettings: BackupSettingsEvent,
    Backup: BackupStarted | BackupEvent,
    Outbound: OutboundEvent,
    AdoptedSecrets: SecretsAdopted | NamesAdopted,
    ApiIntegration: IntegrationCreated | IntegrationEvent,
}

ENTITY_OF: Final[dict[type[Event], type[Aggregate]]] = {
    event: entity for entity, events in ENTITIES.items() for event in get_args(events) or (events,)
}

EVENTS: Final[dict[str, type[Event]]] = {event.__name__: event for event in ENTITY_OF}
assert len(EVENTS) == len(ENTITY_OF), "two events share a name"
