CREATE SCHEMA read;
CREATE TABLE read.tracking (name text PRIMARY KEY, position bigint NOT NULL);
INSERT INTO read.tracking VALUES ('read', 0);
CREATE TABLE read.admin_roles (
    id uuid NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    permissions json NOT NULL,
    max_amount numeric(20, 2),
    max_limit numeric(20, 2),
    user_count bigint NOT NULL,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.admin_users (
    id uuid NOT NULL,
    username text NOT NULL,
    email text,
    name text,
    display_name text,
    phone text,
    role text,
    role_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'inactive', 'suspended')),
    last_login timestamptz,
    two_factor_enabled boolean NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.api_keys (
    id uuid NOT NULL,
    name text NOT NULL,
    admin_id uuid NOT NULL,
    username text,
    permissions json NOT NULL,
    ip_whitelist json NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.security_settings (
    id uuid NOT NULL,
    password_min_length bigint NOT NULL,
    password_require_uppercase boolean NOT NULL,
    password_require_lowercase boolean NOT NULL,
    password_require_numbers boolean NOT NULL,
    password_require_special_chars boolean NOT NULL,
    session_timeout bigint NOT NULL,
    max_login_attempts bigint NOT NULL,
    lockout_duration bigint NOT NULL,
    two_factor_required boolean NOT NULL,
    two_factor_method text NOT NULL CHECK (two_factor_method IN ('sms', 'email', 'app')),
    ip_whitelist json NOT NULL,
    ip_blacklist json NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.approval_rules (
    id uuid NOT NULL,
    command text NOT NULL,
    threshold numeric(20, 2),
    enabled boolean NOT NULL,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.proposals (
    id uuid NOT NULL,
    command text NOT NULL,
    permission text NOT NULL,
    entity text NOT NULL,
    target uuid NOT NULL,
    person uuid NOT NULL,
    path json,
    body json,
    words json,
    secrets json NOT NULL,
    amount numeric(20, 2),
    decided_on json NOT NULL,
    effects json NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'withdrawn', 'expired', 'failed')),
    maker uuid NOT NULL,
    maker_name text,
    api_key uuid,
    decided_by uuid,
    decided_by_name text,
    reason text,
    failure_code text,
    failure_detail text,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.users (
    id uuid NOT NULL,
    user_id text NOT NULL,
    phone text,
    email text,
    name text,
    credit_score bigint NOT NULL,
    repayment_status text NOT NULL CHECK (repayment_status IN ('Overdue', 'Partial', 'Pending', 'Completed')),
    total_repaid numeric(20, 2) NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'inactive', 'suspended')),
    credit_limit numeric(20, 2) NOT NULL,
    auto_limit_enabled boolean NOT NULL,
    total_loans bigint NOT NULL,
    credit_balance numeric(20, 2) NOT NULL,
    exposure numeric(20, 2) NOT NULL,
    opted_out boolean NOT NULL,
    erased boolean NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.loan_products (
    id uuid NOT NULL,
    name text NOT NULL,
    networks text[] NOT NULL,
    min_amount numeric(20, 2) NOT NULL,
    max_amount numeric(20, 2) NOT NULL,
    interest_rate numeric(10, 6) NOT NULL,
    repayment_period bigint NOT NULL,
    fee_mode text NOT NULL CHECK (fee_mode IN ('addon', 'upfront')),
    offered boolean NOT NULL,
    min_score bigint NOT NULL,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.loans (
    id uuid NOT NULL,
    loan_id text NOT NULL,
    user_id uuid NOT NULL,
    user_phone text,
    user_email text,
    product_id uuid,
    product_version bigint,
    amount numeric(20, 2) NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'disbursed', 'repaying', 'completed', 'defaulted')),
    disbursement text NOT NULL CHECK (disbursement IN ('none', 'requested', 'unknown', 'failed', 'delivered')),
    network text NOT NULL CHECK (network IN ('MTN', 'Airtel', 'Glo', '9mobile')),
    interest_rate numeric(10, 6) NOT NULL,
    fee_mode text NOT NULL CHECK (fee_mode IN ('addon', 'upfront')),
    repayment_period bigint NOT NULL,
    due_date timestamptz,
    original_due_date timestamptz,
    rescheduled_count bigint NOT NULL,
    upfront_fee numeric(20, 2) NOT NULL,
    vat numeric(20, 2) NOT NULL,
    amount_due numeric(20, 2) NOT NULL,
    amount_paid numeric(20, 2) NOT NULL,
    outstanding_amount numeric(20, 2) NOT NULL,
    fees_charged numeric(20, 2) NOT NULL,
    fees_waived numeric(20, 2) NOT NULL,
    approved_at timestamptz,
    approved_by uuid,
    rejected_at timestamptz,
    rejected_by uuid,
    rejection_reason text,
    disbursed_at timestamptz,
    completed_at timestamptz,
    defaulted_at timestamptz,
    written_off_at timestamptz,
    written_off_by uuid,
    written_off_amount numeric(20, 2),
    telco_reference text,
    disputed boolean NOT NULL,
    disputes text[] NOT NULL,
    metadata json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.floats (
    id uuid NOT NULL,
    network text NOT NULL CHECK (network IN ('MTN', 'Airtel', 'Glo', '9mobile')),
    balance numeric(20, 2) NOT NULL,
    low boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.transactions (
    id uuid NOT NULL,
    transaction_id text NOT NULL,
    user_id uuid NOT NULL,
    user_phone text,
    user_email text,
    type text NOT NULL CHECK (type IN ('airtime', 'repayment')),
    amount numeric(20, 2) NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'completed', 'failed', 'refunded')),
    payment_method text CHECK (payment_method IN ('bank_transfer', 'card', 'wallet', 'cash')),
    description text,
    reference text,
    provider text,
    network text CHECK (network IN ('MTN', 'Airtel', 'Glo', '9mobile')),
    loan_id uuid,
    allocations json NOT NULL,
    unallocated numeric(20, 2) NOT NULL,
    failure_reason text,
    occurred_at timestamptz NOT NULL,
    quarantine boolean NOT NULL,
    provider_claim json,
    reconciled_at timestamptz,
    reconciled_by uuid,
    notes text,
    metadata json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.statements (
    id uuid NOT NULL,
    sha256 text NOT NULL,
    lines bigint NOT NULL,
    matched bigint NOT NULL,
    mismatched bigint NOT NULL,
    unknown bigint NOT NULL,
    duplicate bigint NOT NULL,
    already_reconciled bigint NOT NULL,
    own_record bigint NOT NULL,
    refused bigint NOT NULL,
    invalid bigint NOT NULL,
    finished_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by uuid,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.settlements (
    id uuid NOT NULL,
    provider text NOT NULL,
    gross numeric(20, 2) NOT NULL,
    fee numeric(20, 2) NOT NULL,
    net numeric(20, 2) NOT NULL,
    reference text NOT NULL,
    date text NOT NULL,
    statement_id uuid,
    created_at timestamptz NOT NULL,
    created_by uuid,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.departments (
    id uuid NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    tier bigint NOT NULL,
    agent_count bigint NOT NULL,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.support_agents (
    id uuid NOT NULL,
    name text,
    email text,
    phone text,
    department uuid NOT NULL,
    tier bigint NOT NULL,
    active_tickets bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('available', 'busy', 'away')),
    last_assigned_at timestamptz,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.tickets (
    id uuid NOT NULL,
    ticket_number text NOT NULL,
    customer_id uuid NOT NULL,
    customer_name text,
    customer_phone text,
    customer_email text,
    subject text,
    description text,
    category text NOT NULL CHECK (category IN ('technical', 'billing', 'account', 'loan', 'general', 'transaction')),
    priority text NOT NULL CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
    status text NOT NULL CHECK (status IN ('open', 'in-progress', 'resolved', 'closed', 'escalated')),
    assigned_to uuid,
    assigned_to_name text,
    department uuid,
    escalated_to uuid,
    escalated_to_name text,
    resolution text,
    resolved_at timestamptz,
    resolved_by uuid,
    closed_at timestamptz,
    last_message_at timestamptz,
    message_count bigint NOT NULL,
    read_by_agents bigint NOT NULL,
    read_by_customer bigint NOT NULL,
    tags text[] NOT NULL,
    response_due_at timestamptz NOT NULL,
    responded_at timestamptz,
    response_overdue boolean NOT NULL,
    resolution_due_at timestamptz NOT NULL,
    resolution_overdue boolean NOT NULL,
    breached boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.system_alerts (
    id uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('overdue_loans', 'api_failure', 'payment_gateway', 'user_issue', 'system_error')),
    enabled boolean NOT NULL,
    threshold numeric(20, 2) NOT NULL,
    channel text[] NOT NULL,
    recipients text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('unknown', 'normal', 'firing', 'easing')),
    state_since timestamptz NOT NULL,
    last_value numeric(20, 2),
    last_triggered timestamptz,
    trigger_count bigint NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by uuid,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.broadcasts (
    id uuid NOT NULL,
    title text NOT NULL,
    message text NOT NULL,
    type text NOT NULL CHECK (type IN ('sms', 'email', 'both')),
    target_audience text NOT NULL CHECK (target_audience IN ('all', 'active_users', 'inactive_users', 'overdue_users', 'custom')),
    custom_user_ids json,
    purpose text NOT NULL CHECK (purpose IN ('marketing', 'notice')),
    scheduled_for timestamptz,
    status text NOT NULL CHECK (status IN ('draft', 'scheduled', 'sent', 'failed')),
    phase text NOT NULL CHECK (phase IN ('draft', 'scheduled', 'sending', 'paused', 'sent', 'failed')),
    reason text,
    started_at timestamptz,
    audience_position bigint,
    audience_size bigint,
    sent_at timestamptz,
    sent_count bigint NOT NULL,
    failed_count bigint NOT NULL,
    unknown_count bigint NOT NULL,
    excluded_count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.broadcast_chunks (
    id uuid NOT NULL,
    broadcast_id uuid NOT NULL,
    number bigint NOT NULL,
    size bigint NOT NULL,
    settled bigint NOT NULL,
    taken bigint NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.notification_history (
    id uuid NOT NULL,
    type text NOT NULL CHECK (type IN ('alert', 'broadcast', 'scheduled')),
    title text,
    message text,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'dashboard')),
    recipient uuid NOT NULL,
    recipient_type text NOT NULL CHECK (recipient_type IN ('user', 'admin')),
    user_id uuid GENERATED ALWAYS AS (CASE recipient_type WHEN 'user' THEN recipient END) STORED,
    admin_id uuid GENERATED ALWAYS AS (CASE recipient_type WHEN 'admin' THEN recipient END) STORED,
    status text NOT NULL CHECK (status IN ('sent', 'delivered', 'failed', 'pending')),
    hand_over text NOT NULL CHECK (hand_over IN ('waiting', 'under-way', 'done', 'unknown')),
    sent_at timestamptz,
    delivered_at timestamptz,
    error_message text,
    provider_claim text CHECK (provider_claim IN ('sent', 'delivered', 'failed', 'pending')),
    broadcast_id uuid,
    alert_id uuid,
    parent_id uuid,
    retried_as uuid,
    metadata json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.email_templates (
    id uuid NOT NULL,
    name text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    variables text[] NOT NULL,
    type text NOT NULL CHECK (type IN ('transactional', 'marketing', 'notification')),
    enabled boolean NOT NULL,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.sms_templates (
    id uuid NOT NULL,
    name text NOT NULL,
    message text NOT NULL,
    variables text[] NOT NULL,
    encoding text NOT NULL CHECK (encoding IN ('GSM-7', 'UCS-2')),
    units bigint NOT NULL,
    segments bigint NOT NULL,
    offending text[] NOT NULL,
    enabled boolean NOT NULL,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.system_config (
    id uuid NOT NULL,
    category text NOT NULL,
    key text NOT NULL,
    value json,
    description text NOT NULL,
    data_type text NOT NULL CHECK (data_type IN ('string', 'number', 'boolean', 'json')),
    updated_at timestamptz NOT NULL,
    updated_by uuid,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.api_integrations (
    id uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('telecom', 'payment_gateway', 'sms', 'email')),
    provider text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'inactive', 'error')),
    api_key json,
    api_secret json,
    base_url text NOT NULL,
    last_tested timestamptz,
    last_test_result text CHECK (last_test_result IN ('success', 'failed')),
    last_test_reason text,
    config json,
    archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.backup_settings (
    id uuid NOT NULL,
    enabled boolean NOT NULL,
    frequency text NOT NULL CHECK (frequency IN ('daily', 'weekly', 'monthly')),
    time text NOT NULL,
    retention_days bigint NOT NULL,
    backup_type text NOT NULL CHECK (backup_type IN ('full', 'incremental')),
    storage_location text NOT NULL CHECK (storage_location IN ('local', 'cloud')),
    cloud_provider text,
    last_backup timestamptz,
    next_backup timestamptz,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.backups (
    id uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('full', 'incremental')),
    size bigint,
    status text NOT NULL CHECK (status IN ('in_progress', 'success', 'failed')),
    created_at timestamptz NOT NULL,
    completed_at timestamptz,
    retention_days bigint NOT NULL,
    download_url text,
    parent_id uuid,
    promoted text,
    storage_location text NOT NULL CHECK (storage_location IN ('local', 'cloud')),
    position bigint,
    events bigint,
    files bigint,
    missing_files bigint,
    verifying boolean NOT NULL,
    verified_at timestamptz,
    failed_at timestamptz,
    failure_reason text,
    deleted_at timestamptz,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.outbound (
    id uuid NOT NULL,
    enabled boolean NOT NULL,
    reason text,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    begun bigint NOT NULL
);
CREATE TABLE read.audit_logs (
    id uuid NOT NULL,
    position bigint NOT NULL,
    action text NOT NULL,
    entity text NOT NULL,
    entity_id uuid NOT NULL,
    user_id uuid,
    user_name text NOT NULL,
    user_role text,
    actor_type text NOT NULL,
    actor_id uuid,
    api_key_id uuid,
    api_key_name text,
    approved_by_id uuid,
    approved_by_name text,
    changes json NOT NULL,
    ip_address text,
    user_agent text,
    request_id text,
    timestamp timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE TABLE read.journal_entries (
    id uuid NOT NULL,
    position bigint NOT NULL,
    at timestamptz NOT NULL,
    event text NOT NULL,
    loan_id uuid,
    transaction_id uuid,
    user_id uuid,
    lines json NOT NULL,
    version bigint NOT NULL
);
CREATE TABLE read.journal_lines (
    id uuid NOT NULL,
    entry_id uuid NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    approximate boolean NOT NULL,
    account text NOT NULL,
    debit numeric(20, 2) NOT NULL,
    credit numeric(20, 2) NOT NULL,
    version bigint NOT NULL
);
CREATE TABLE read.statement_lines (
    id uuid NOT NULL,
    statement_id uuid NOT NULL,
    line bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('matched', 'mismatched', 'unknown', 'duplicate', 'alreadyReconciled', 'own-record', 'refused', 'invalid')),
    transaction_id uuid,
    date text,
    reference text,
    amount numeric(20, 2),
    provider text,
    differs json,
    reason text,
    version bigint NOT NULL
);
CREATE TABLE read.chat_messages (
    id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    number bigint NOT NULL,
    sender_id uuid,
    sender_name text,
    sender_type text NOT NULL CHECK (sender_type IN ('customer', 'agent', 'system')),
    message text,
    attachments json NOT NULL,
    read_by_agents bigint,
    read_by_customer bigint,
    is_read boolean GENERATED ALWAYS AS (number <= CASE sender_type WHEN 'customer' THEN read_by_agents ELSE read_by_customer END) STORED,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE TABLE read.ticket_history (
    id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    action text NOT NULL,
    performed_by uuid,
    performed_by_name text,
    details text,
    timestamp timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE VIEW read.admin_activity_logs AS SELECT *, 1::bigint AS version FROM ledger.activity;
CREATE VIEW read.refused_requests AS SELECT *, 1::bigint AS version FROM ledger.refused_requests;
DO $$ BEGIN GRANT USAGE ON SCHEMA read TO rim_service; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA read TO rim_service; EXCEPTION WHEN undefined_object THEN NULL; END $$;
CREATE SCHEMA read_masked;
CREATE VIEW read_masked.admin_roles AS SELECT t.id, t.name, t.description, t.permissions, t.max_amount, t.max_limit, t.user_count, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.admin_roles t;
CREATE VIEW read_masked.admin_users AS SELECT t.id, t.username, NULL::text AS email, NULL::text AS name, NULL::text AS display_name, NULL::text AS phone, t.role, t.role_id, t.status, t.last_login, t.two_factor_enabled, t.created_at, t.created_by, t.updated_at, t.version, t.begun FROM read.admin_users t;
CREATE VIEW read_masked.api_keys AS SELECT t.id, t.name, t.admin_id, t.username, t.permissions, t.ip_whitelist, t.expires_at, t.last_used_at, t.revoked_at, t.created_at, t.updated_at, t.version, t.begun FROM read.api_keys t;
CREATE VIEW read_masked.security_settings AS SELECT t.id, t.password_min_length, t.password_require_uppercase, t.password_require_lowercase, t.password_require_numbers, t.password_require_special_chars, t.session_timeout, t.max_login_attempts, t.lockout_duration, t.two_factor_required, t.two_factor_method, t.ip_whitelist, t.ip_blacklist, t.updated_at, t.version, t.begun FROM read.security_settings t;
CREATE VIEW read_masked.approval_rules AS SELECT t.id, t.command, t.threshold, t.enabled, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.approval_rules t;
CREATE VIEW read_masked.proposals AS SELECT t.id, t.command, t.permission, t.entity, t.target, t.person, t.path, t.body, (SELECT coalesce(json_object_agg(m.key, CASE WHEN m.key IN ('') THEN m.value ELSE '"***"' END), '{}') FROM json_each(t.words) m) AS words, t.secrets, t.amount, t.decided_on, t.effects, t.status, t.maker, NULL::text AS maker_name, t.api_key, t.decided_by, NULL::text AS decided_by_name, NULL::text AS reason, t.failure_code, t.failure_detail, t.expires_at, t.ended_at, t.created_at, t.updated_at, t.version, t.begun FROM read.proposals t;
CREATE VIEW read_masked.users AS SELECT t.id, t.user_id, NULL::text AS phone, NULL::text AS email, NULL::text AS name, t.credit_score, t.repayment_status, t.total_repaid, t.status, t.credit_limit, t.auto_limit_enabled, t.total_loans, t.credit_balance, t.exposure, t.opted_out, t.erased, t.deleted_at, t.created_at, t.updated_at, t.version, t.begun FROM read.users t;
CREATE VIEW read_masked.loan_products AS SELECT t.id, t.name, t.networks, t.min_amount, t.max_amount, t.interest_rate, t.repayment_period, t.fee_mode, t.offered, t.min_score, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.loan_products t;
CREATE VIEW read_masked.loans AS SELECT t.id, t.loan_id, t.user_id, NULL::text AS user_phone, NULL::text AS user_email, t.product_id, t.product_version, t.amount, t.status, t.disbursement, t.network, t.interest_rate, t.fee_mode, t.repayment_period, t.due_date, t.original_due_date, t.rescheduled_count, t.upfront_fee, t.vat, t.amount_due, t.amount_paid, t.outstanding_amount, t.fees_charged, t.fees_waived, t.approved_at, t.approved_by, t.rejected_at, t.rejected_by, NULL::text AS rejection_reason, t.disbursed_at, t.completed_at, t.defaulted_at, t.written_off_at, t.written_off_by, t.written_off_amount, t.telco_reference, t.disputed, t.disputes, (SELECT coalesce(json_object_agg(m.key, CASE WHEN m.key IN ('', 'creditScore', 'previousLoans', 'autoApproved', 'policy', 'reasons') THEN m.value ELSE '"***"' END), '{}') FROM json_each(t.metadata) m) AS metadata, t.created_at, t.updated_at, t.version, t.begun FROM read.loans t;
CREATE VIEW read_masked.floats AS SELECT t.id, t.network, t.balance, t.low, t.created_at, t.updated_at, t.version, t.begun FROM read.floats t;
CREATE VIEW read_masked.transactions AS SELECT t.id, t.transaction_id, t.user_id, NULL::text AS user_phone, NULL::text AS user_email, t.type, t.amount, t.status, t.payment_method, NULL::text AS description, t.reference, t.provider, t.network, t.loan_id, t.allocations, t.unallocated, NULL::text AS failure_reason, t.occurred_at, t.quarantine, t.provider_claim, t.reconciled_at, t.reconciled_by, NULL::text AS notes, (SELECT coalesce(json_object_agg(m.key, CASE WHEN m.key IN ('') THEN m.value ELSE '"***"' END), '{}') FROM json_each(t.metadata) m) AS metadata, t.created_at, t.updated_at, t.version, t.begun FROM read.transactions t;
CREATE VIEW read_masked.statements AS SELECT t.id, t.sha256, t.lines, t.matched, t.mismatched, t.unknown, t.duplicate, t.already_reconciled, t.own_record, t.refused, t.invalid, t.finished_at, t.created_at, t.created_by, t.updated_at, t.version, t.begun FROM read.statements t;
CREATE VIEW read_masked.settlements AS SELECT t.id, t.provider, t.gross, t.fee, t.net, t.reference, t.date, t.statement_id, t.created_at, t.created_by, t.updated_at, t.version, t.begun FROM read.settlements t;
CREATE VIEW read_masked.departments AS SELECT t.id, t.name, t.description, t.tier, t.agent_count, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.departments t;
CREATE VIEW read_masked.support_agents AS SELECT t.id, NULL::text AS name, NULL::text AS email, NULL::text AS phone, t.department, t.tier, t.active_tickets, t.status, t.last_assigned_at, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.support_agents t;
CREATE VIEW read_masked.tickets AS SELECT t.id, t.ticket_number, t.customer_id, NULL::text AS customer_name, NULL::text AS customer_phone, NULL::text AS customer_email, NULL::text AS subject, NULL::text AS description, t.category, t.priority, t.status, t.assigned_to, NULL::text AS assigned_to_name, t.department, t.escalated_to, NULL::text AS escalated_to_name, NULL::text AS resolution, t.resolved_at, t.resolved_by, t.closed_at, t.last_message_at, t.message_count, t.read_by_agents, t.read_by_customer, t.tags, t.response_due_at, t.responded_at, t.response_overdue, t.resolution_due_at, t.resolution_overdue, t.breached, t.created_at, t.updated_at, t.version, t.begun FROM read.tickets t;
CREATE VIEW read_masked.system_alerts AS SELECT t.id, t.name, t.type, t.enabled, t.threshold, t.channel, t.recipients, t.state, t.state_since, t.last_value, t.last_triggered, t.trigger_count, t.acknowledged_at, t.acknowledged_by, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.system_alerts t;
CREATE VIEW read_masked.broadcasts AS SELECT t.id, t.title, t.message, t.type, t.target_audience, t.custom_user_ids, t.purpose, t.scheduled_for, t.status, t.phase, t.reason, t.started_at, t.audience_position, t.audience_size, t.sent_at, t.sent_count, t.failed_count, t.unknown_count, t.excluded_count, t.created_at, t.created_by, t.updated_at, t.version, t.begun FROM read.broadcasts t;
CREATE VIEW read_masked.broadcast_chunks AS SELECT t.id, t.broadcast_id, t.number, t.size, t.settled, t.taken, t.version, t.begun FROM read.broadcast_chunks t;
CREATE VIEW read_masked.notification_history AS SELECT t.id, t.type, NULL::text AS title, NULL::text AS message, t.channel, t.recipient, t.recipient_type, t.user_id, t.admin_id, t.status, t.hand_over, t.sent_at, t.delivered_at, t.error_message, t.provider_claim, t.broadcast_id, t.alert_id, t.parent_id, t.retried_as, t.metadata, t.created_at, t.updated_at, t.version, t.begun FROM read.notification_history t;
CREATE VIEW read_masked.email_templates AS SELECT t.id, t.name, t.subject, t.body, t.variables, t.type, t.enabled, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.email_templates t;
CREATE VIEW read_masked.sms_templates AS SELECT t.id, t.name, t.message, t.variables, t.encoding, t.units, t.segments, t.offending, t.enabled, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.sms_templates t;
CREATE VIEW read_masked.system_config AS SELECT t.id, t.category, t.key, t.value, t.description, t.data_type, t.updated_at, t.updated_by, t.version, t.begun FROM read.system_config t;
CREATE VIEW read_masked.api_integrations AS SELECT t.id, t.name, t.type, t.provider, t.status, t.api_key, t.api_secret, t.base_url, t.last_tested, t.last_test_result, t.last_test_reason, t.config, t.archived, t.created_at, t.updated_at, t.version, t.begun FROM read.api_integrations t;
CREATE VIEW read_masked.backup_settings AS SELECT t.id, t.enabled, t.frequency, t.time, t.retention_days, t.backup_type, t.storage_location, t.cloud_provider, t.last_backup, t.next_backup, t.updated_at, t.version, t.begun FROM read.backup_settings t;
CREATE VIEW read_masked.backups AS SELECT t.id, t.name, t.type, t.size, t.status, t.created_at, t.completed_at, t.retention_days, t.download_url, t.parent_id, t.promoted, t.storage_location, t.position, t.events, t.files, t.missing_files, t.verifying, t.verified_at, t.failed_at, t.failure_reason, t.deleted_at, t.updated_at, t.version, t.begun FROM read.backups t;
CREATE VIEW read_masked.outbound AS SELECT t.id, t.enabled, t.reason, t.updated_at, t.version, t.begun FROM read.outbound t;
CREATE VIEW read_masked.audit_logs AS SELECT t.id, t.position, t.action, t.entity, t.entity_id, t.user_id, t.user_name, t.user_role, t.actor_type, t.actor_id, t.api_key_id, t.api_key_name, t.approved_by_id, t.approved_by_name, NULL::json AS changes, t.ip_address, t.user_agent, t.request_id, t.timestamp, t.recorded_at, t.version FROM read.audit_logs t;
CREATE VIEW read_masked.journal_entries AS SELECT t.id, t.position, t.at, t.event, t.loan_id, t.transaction_id, t.user_id, t.lines, t.version FROM read.journal_entries t;
CREATE VIEW read_masked.journal_lines AS SELECT t.id, t.entry_id, t.position, t.recorded_at, t.effective_at, t.approximate, t.account, t.debit, t.credit, t.version FROM read.journal_lines t;
CREATE VIEW read_masked.statement_lines AS SELECT t.id, t.statement_id, t.line, t.outcome, t.transaction_id, t.date, t.reference, t.amount, t.provider, t.differs, t.reason, t.version FROM read.statement_lines t;
CREATE VIEW read_masked.chat_messages AS SELECT t.id, t.ticket_id, t.number, t.sender_id, NULL::text AS sender_name, t.sender_type, NULL::text AS message, NULL::json AS attachments, t.read_by_agents, t.read_by_customer, t.is_read, t.created_at, t.version FROM read.chat_messages t;
CREATE VIEW read_masked.ticket_history AS SELECT t.id, t.ticket_id, t.action, t.performed_by, NULL::text AS performed_by_name, NULL::text AS details, t.timestamp, t.version FROM read.ticket_history t;
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rim_analyst') THEN
        GRANT USAGE ON SCHEMA read_masked TO rim_analyst;
        GRANT SELECT ON ALL TABLES IN SCHEMA read_masked TO rim_analyst;
    END IF;
END $$;
ALTER TABLE read.admin_roles ADD PRIMARY KEY (id);
ALTER TABLE read.admin_roles ADD CONSTRAINT admin_roles_name_unique EXCLUDE (name WITH =) WHERE (NOT archived) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX admin_roles_name_compared ON read.admin_roles ((replace(translate(regexp_replace(lower(normalize(name, NFKC)), '\s+', ' ', 'g'), 'ς', 'σ'), 'ß', 'ss')));
CREATE INDEX admin_roles_name ON read.admin_roles (name, id);
CREATE INDEX admin_roles_created_at ON read.admin_roles (created_at, id);
ALTER TABLE read.admin_users ADD PRIMARY KEY (id);
ALTER TABLE read.admin_users ADD CONSTRAINT admin_users_username UNIQUE (username) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.admin_users ADD CONSTRAINT admin_users_email UNIQUE (email) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX admin_users_email_compared ON read.admin_users ((lower(email)));
CREATE INDEX admin_users_role_id_created_at ON read.admin_users (role_id, created_at, id);
CREATE INDEX admin_users_status_created_at ON read.admin_users (status, created_at, id);
CREATE INDEX admin_users_created_at ON read.admin_users (created_at, id);
ALTER TABLE read.api_keys ADD PRIMARY KEY (id);
CREATE INDEX api_keys_admin_id_created_at ON read.api_keys (admin_id, created_at, id);
CREATE INDEX api_keys_revoked_at ON read.api_keys (revoked_at, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_created_at ON read.api_keys (created_at, id);
ALTER TABLE read.security_settings ADD PRIMARY KEY (id);
CREATE INDEX security_settings_updated_at ON read.security_settings (updated_at, id);
ALTER TABLE read.approval_rules ADD PRIMARY KEY (id);
ALTER TABLE read.approval_rules ADD CONSTRAINT approval_rules_command_unique EXCLUDE (command WITH =) WHERE (NOT archived) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX approval_rules_enabled_created_at ON read.approval_rules (enabled, created_at, id) WHERE enabled;
CREATE INDEX approval_rules_created_at ON read.approval_rules (created_at, id);
ALTER TABLE read.proposals ADD PRIMARY KEY (id);
CREATE INDEX proposals_target ON read.proposals (target);
CREATE INDEX proposals_person ON read.proposals (person);
CREATE INDEX proposals_command_created_at ON read.proposals (command, created_at, id);
CREATE INDEX proposals_status_created_at ON read.proposals (status, created_at, id);
CREATE INDEX proposals_maker_created_at ON read.proposals (maker, created_at, id);
CREATE INDEX proposals_decided_by_created_at ON read.proposals (decided_by, created_at, id) WHERE decided_by IS NOT NULL;
CREATE INDEX proposals_expires_at ON read.proposals (expires_at, id);
CREATE INDEX proposals_created_at ON read.proposals (created_at, id);
ALTER TABLE read.users ADD PRIMARY KEY (id);
ALTER TABLE read.users ADD CONSTRAINT users_user_id UNIQUE (user_id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX users_phone ON read.users (phone) WHERE phone IS NOT NULL;
CREATE INDEX users_email ON read.users (email) WHERE email IS NOT NULL;
CREATE INDEX users_email_compared ON read.users ((lower(email)));
CREATE INDEX users_deleted_at_created_at ON read.users (created_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_status_created_at ON read.users (status, created_at, id);
CREATE INDEX users_created_at ON read.users (created_at, id);
ALTER TABLE read.loan_products ADD PRIMARY KEY (id);
ALTER TABLE read.loan_products ADD CONSTRAINT loan_products_name_unique EXCLUDE (name WITH =) WHERE (NOT archived) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX loan_products_name_compared ON read.loan_products ((replace(translate(regexp_replace(lower(normalize(name, NFKC)), '\s+', ' ', 'g'), 'ς', 'σ'), 'ß', 'ss')));
CREATE INDEX loan_products_name ON read.loan_products (name, id);
CREATE INDEX loan_products_offered_created_at ON read.loan_products (offered, created_at, id) WHERE offered;
CREATE INDEX loan_products_archived_created_at ON read.loan_products (archived, created_at, id) WHERE archived;
CREATE INDEX loan_products_created_at ON read.loan_products (created_at, id);
ALTER TABLE read.loans ADD PRIMARY KEY (id);
ALTER TABLE read.loans ADD CONSTRAINT loans_loan_id UNIQUE (loan_id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX loans_user_id_created_at ON read.loans (user_id, created_at, id);
CREATE INDEX loans_product_id_created_at ON read.loans (product_id, created_at, id) WHERE product_id IS NOT NULL;
CREATE INDEX loans_status_created_at ON read.loans (status, created_at, id);
CREATE INDEX loans_network_created_at ON read.loans (network, created_at, id);
CREATE INDEX loans_due_date ON read.loans (due_date, id);
CREATE INDEX loans_disbursed_at ON read.loans (disbursed_at, id) WHERE disbursed_at IS NOT NULL;
CREATE INDEX loans_completed_at ON read.loans (completed_at, id) WHERE completed_at IS NOT NULL;
CREATE INDEX loans_defaulted_at ON read.loans (defaulted_at, id) WHERE defaulted_at IS NOT NULL;
CREATE INDEX loans_written_off_at ON read.loans (written_off_at, id) WHERE written_off_at IS NOT NULL;
CREATE INDEX loans_disputed_created_at ON read.loans (disputed, created_at, id) WHERE disputed;
CREATE INDEX loans_created_at ON read.loans (created_at, id);
CREATE INDEX loans_status_due_date ON read.loans (status, due_date, id);
ALTER TABLE read.floats ADD PRIMARY KEY (id);
ALTER TABLE read.floats ADD CONSTRAINT floats_network UNIQUE (network) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX floats_created_at ON read.floats (created_at, id);
ALTER TABLE read.transactions ADD PRIMARY KEY (id);
ALTER TABLE read.transactions ADD CONSTRAINT transactions_transaction_id UNIQUE (transaction_id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX transactions_reference ON read.transactions (reference) WHERE reference IS NOT NULL;
CREATE INDEX transactions_loan_id ON read.transactions (loan_id) WHERE loan_id IS NOT NULL;
CREATE INDEX transactions_user_id_created_at ON read.transactions (user_id, created_at, id);
CREATE INDEX transactions_type_created_at ON read.transactions (type, created_at, id);
CREATE INDEX transactions_status_created_at ON read.transactions (status, created_at, id);
CREATE INDEX transactions_occurred_at ON read.transactions (occurred_at, id);
CREATE INDEX transactions_quarantine_created_at ON read.transactions (quarantine, created_at, id) WHERE quarantine;
CREATE INDEX transactions_created_at ON read.transactions (created_at, id);
ALTER TABLE read.statements ADD PRIMARY KEY (id);
ALTER TABLE read.statements ADD CONSTRAINT statements_sha256 UNIQUE (sha256) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX statements_created_at ON read.statements (created_at, id);
ALTER TABLE read.settlements ADD PRIMARY KEY (id);
CREATE INDEX settlements_reference ON read.settlements (reference);
CREATE INDEX settlements_provider_created_at ON read.settlements (provider, created_at, id);
CREATE INDEX settlements_statement_id_created_at ON read.settlements (statement_id, created_at, id) WHERE statement_id IS NOT NULL;
CREATE INDEX settlements_created_at ON read.settlements (created_at, id);
ALTER TABLE read.departments ADD PRIMARY KEY (id);
ALTER TABLE read.departments ADD CONSTRAINT departments_name_unique EXCLUDE (name WITH =) WHERE (NOT archived) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX departments_name_compared ON read.departments ((replace(translate(regexp_replace(lower(normalize(name, NFKC)), '\s+', ' ', 'g'), 'ς', 'σ'), 'ß', 'ss')));
CREATE INDEX departments_name ON read.departments (name, id);
CREATE INDEX departments_created_at ON read.departments (created_at, id);
ALTER TABLE read.support_agents ADD PRIMARY KEY (id);
ALTER TABLE read.support_agents ADD CONSTRAINT support_agents_email UNIQUE (email) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX support_agents_email_compared ON read.support_agents ((lower(email)));
CREATE INDEX support_agents_department_created_at ON read.support_agents (department, created_at, id);
CREATE INDEX support_agents_status_created_at ON read.support_agents (status, created_at, id);
CREATE INDEX support_agents_created_at ON read.support_agents (created_at, id);
ALTER TABLE read.tickets ADD PRIMARY KEY (id);
ALTER TABLE read.tickets ADD CONSTRAINT tickets_ticket_number UNIQUE (ticket_number) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX tickets_tags ON read.tickets USING gin (tags);
CREATE INDEX tickets_customer_id_created_at ON read.tickets (customer_id, created_at, id);
CREATE INDEX tickets_category_created_at ON read.tickets (category, created_at, id);
CREATE INDEX tickets_priority_created_at ON read.tickets (priority, created_at, id);
CREATE INDEX tickets_status_created_at ON read.tickets (status, created_at, id);
CREATE INDEX tickets_assigned_to_created_at ON read.tickets (assigned_to, created_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX tickets_department_created_at ON read.tickets (department, created_at, id) WHERE department IS NOT NULL;
CREATE INDEX tickets_escalated_to_created_at ON read.tickets (escalated_to, created_at, id) WHERE escalated_to IS NOT NULL;
CREATE INDEX tickets_resolved_at ON read.tickets (resolved_at, id) WHERE resolved_at IS NOT NULL;
CREATE INDEX tickets_breached_created_at ON read.tickets (breached, created_at, id) WHERE breached;
CREATE INDEX tickets_created_at ON read.tickets (created_at, id);
CREATE INDEX tickets_assigned_to_status_created_at ON read.tickets (assigned_to, status, created_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX tickets_unassigned_created_at ON read.tickets (created_at, id) WHERE department IS NULL AND assigned_to IS NULL;
ALTER TABLE read.system_alerts ADD PRIMARY KEY (id);
CREATE INDEX system_alerts_type_created_at ON read.system_alerts (type, created_at, id);
CREATE INDEX system_alerts_enabled_created_at ON read.system_alerts (enabled, created_at, id) WHERE enabled;
CREATE INDEX system_alerts_state_created_at ON read.system_alerts (state, created_at, id);
CREATE INDEX system_alerts_created_at ON read.system_alerts (created_at, id);
ALTER TABLE read.broadcasts ADD PRIMARY KEY (id);
CREATE INDEX broadcasts_target_audience_created_at ON read.broadcasts (target_audience, created_at, id);
CREATE INDEX broadcasts_scheduled_for ON read.broadcasts (scheduled_for, id);
CREATE INDEX broadcasts_status_created_at ON read.broadcasts (status, created_at, id);
CREATE INDEX broadcasts_created_at ON read.broadcasts (created_at, id);
CREATE INDEX broadcasts_created_by_created_at ON read.broadcasts (created_by, created_at, id) WHERE created_by IS NOT NULL;
ALTER TABLE read.broadcast_chunks ADD PRIMARY KEY (id);
CREATE INDEX broadcast_chunks_broadcast_id_number ON read.broadcast_chunks (broadcast_id, number, id);
CREATE INDEX broadcast_chunks_number ON read.broadcast_chunks (number, id);
ALTER TABLE read.notification_history ADD PRIMARY KEY (id);
CREATE INDEX notification_history_channel_sent_at ON read.notification_history (channel, sent_at, id);
CREATE INDEX notification_history_recipient_sent_at ON read.notification_history (recipient, sent_at, id);
CREATE INDEX notification_history_recipient_type_sent_at ON read.notification_history (recipient_type, sent_at, id);
CREATE INDEX notification_history_status_sent_at ON read.notification_history (status, sent_at, id);
CREATE INDEX notification_history_sent_at ON read.notification_history (sent_at, id);
CREATE INDEX notification_history_provider_claim_sent_at ON read.notification_history (provider_claim, sent_at, id) WHERE provider_claim IS NOT NULL;
CREATE INDEX notification_history_broadcast_id_sent_at ON read.notification_history (broadcast_id, sent_at, id) WHERE broadcast_id IS NOT NULL;
CREATE INDEX notification_history_alert_id_sent_at ON read.notification_history (alert_id, sent_at, id) WHERE alert_id IS NOT NULL;
CREATE INDEX notification_history_created_at ON read.notification_history (created_at, id);
CREATE INDEX notification_history_broadcast_id_status_sent_at ON read.notification_history (broadcast_id, status, sent_at, id) WHERE broadcast_id IS NOT NULL;
ALTER TABLE read.email_templates ADD PRIMARY KEY (id);
ALTER TABLE read.email_templates ADD CONSTRAINT email_templates_name_unique EXCLUDE (name WITH =) WHERE (NOT archived) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX email_templates_name_compared ON read.email_templates ((replace(translate(regexp_replace(lower(normalize(name, NFKC)), '\s+', ' ', 'g'), 'ς', 'σ'), 'ß', 'ss')));
CREATE INDEX email_templates_name ON read.email_templates (name, id);
CREATE INDEX email_templates_type_created_at ON read.email_templates (type, created_at, id);
CREATE INDEX email_templates_enabled_created_at ON read.email_templates (enabled, created_at, id) WHERE enabled;
CREATE INDEX email_templates_created_at ON read.email_templates (created_at, id);
ALTER TABLE read.sms_templates ADD PRIMARY KEY (id);
ALTER TABLE read.sms_templates ADD CONSTRAINT sms_templates_name_unique EXCLUDE (name WITH =) WHERE (NOT archived) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX sms_templates_name_compared ON read.sms_templates ((replace(translate(regexp_replace(lower(normalize(name, NFKC)), '\s+', ' ', 'g'), 'ς', 'σ'), 'ß', 'ss')));
CREATE INDEX sms_templates_name ON read.sms_templates (name, id);
CREATE INDEX sms_templates_enabled_created_at ON read.sms_templates (enabled, created_at, id) WHERE enabled;
CREATE INDEX sms_templates_created_at ON read.sms_templates (created_at, id);
ALTER TABLE read.system_config ADD PRIMARY KEY (id);
CREATE INDEX system_config_category ON read.system_config (category);
CREATE INDEX system_config_key ON read.system_config (key);
CREATE INDEX system_config_updated_at ON read.system_config (updated_at, id);
ALTER TABLE read.system_config ADD CONSTRAINT system_config_category_key_unique UNIQUE (category, key) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.api_integrations ADD PRIMARY KEY (id);
CREATE INDEX api_integrations_type_created_at ON read.api_integrations (type, created_at, id);
CREATE INDEX api_integrations_provider_created_at ON read.api_integrations (provider, created_at, id);
CREATE INDEX api_integrations_status_created_at ON read.api_integrations (status, created_at, id);
CREATE INDEX api_integrations_created_at ON read.api_integrations (created_at, id);
ALTER TABLE read.backup_settings ADD PRIMARY KEY (id);
CREATE INDEX backup_settings_updated_at ON read.backup_settings (updated_at, id);
ALTER TABLE read.backups ADD PRIMARY KEY (id);
CREATE INDEX backups_deleted_at_created_at ON read.backups (created_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX backups_status_created_at ON read.backups (status, created_at, id);
CREATE INDEX backups_created_at ON read.backups (created_at, id);
ALTER TABLE read.outbound ADD PRIMARY KEY (id);
CREATE INDEX outbound_updated_at ON read.outbound (updated_at, id);
ALTER TABLE read.audit_logs ADD PRIMARY KEY (id);
ALTER TABLE read.audit_logs ADD CONSTRAINT audit_logs_position UNIQUE (position) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX audit_logs_action ON read.audit_logs (action);
CREATE INDEX audit_logs_entity ON read.audit_logs (entity);
CREATE INDEX audit_logs_entity_id ON read.audit_logs (entity_id);
CREATE INDEX audit_logs_user_id_timestamp ON read.audit_logs (user_id, timestamp, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_logs_api_key_id_timestamp ON read.audit_logs (api_key_id, timestamp, id) WHERE api_key_id IS NOT NULL;
CREATE INDEX audit_logs_approved_by_id_timestamp ON read.audit_logs (approved_by_id, timestamp, id) WHERE approved_by_id IS NOT NULL;
CREATE INDEX audit_logs_timestamp ON read.audit_logs (timestamp, id);
ALTER TABLE read.journal_entries ADD PRIMARY KEY (id);
ALTER TABLE read.journal_entries ADD CONSTRAINT journal_entries_position UNIQUE (position) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX journal_entries_event ON read.journal_entries (event);
CREATE INDEX journal_entries_loan_id ON read.journal_entries (loan_id) WHERE loan_id IS NOT NULL;
CREATE INDEX journal_entries_transaction_id ON read.journal_entries (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX journal_entries_at ON read.journal_entries (at, id);
CREATE INDEX journal_entries_user_id_at ON read.journal_entries (user_id, at, id) WHERE user_id IS NOT NULL;
ALTER TABLE read.journal_lines ADD PRIMARY KEY (id);
CREATE INDEX journal_lines_entry_id ON read.journal_lines (entry_id);
CREATE INDEX journal_lines_position ON read.journal_lines (position);
CREATE INDEX journal_lines_account ON read.journal_lines (account);
CREATE INDEX journal_lines_recorded_at ON read.journal_lines (recorded_at, id);
CREATE INDEX journal_lines_approximate_recorded_at ON read.journal_lines (approximate, recorded_at, id) WHERE approximate;
ALTER TABLE read.statement_lines ADD PRIMARY KEY (id);
CREATE INDEX statement_lines_outcome ON read.statement_lines (outcome);
CREATE INDEX statement_lines_transaction_id ON read.statement_lines (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX statement_lines_reference ON read.statement_lines (reference) WHERE reference IS NOT NULL;
CREATE INDEX statement_lines_statement_id_line ON read.statement_lines (statement_id, line, id);
CREATE INDEX statement_lines_statement_id_outcome_line ON read.statement_lines (statement_id, outcome, line, id);
ALTER TABLE read.statement_lines ADD CONSTRAINT statement_lines_statement_id_line_unique UNIQUE (statement_id, line) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.chat_messages ADD PRIMARY KEY (id);
CREATE INDEX chat_messages_sender_id ON read.chat_messages (sender_id) WHERE sender_id IS NOT NULL;
CREATE INDEX chat_messages_ticket_id_created_at ON read.chat_messages (ticket_id, created_at, id);
CREATE INDEX chat_messages_created_at ON read.chat_messages (created_at, id);
ALTER TABLE read.ticket_history ADD PRIMARY KEY (id);
CREATE INDEX ticket_history_action ON read.ticket_history (action);
CREATE INDEX ticket_history_performed_by ON read.ticket_history (performed_by) WHERE performed_by IS NOT NULL;
CREATE INDEX ticket_history_ticket_id_timestamp ON read.ticket_history (ticket_id, timestamp, id);
CREATE INDEX ticket_history_timestamp ON read.ticket_history (timestamp, id);
ALTER TABLE read.admin_users ADD FOREIGN KEY (role_id) REFERENCES read.admin_roles (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.admin_users ADD FOREIGN KEY (created_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.api_keys ADD FOREIGN KEY (admin_id) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.proposals ADD FOREIGN KEY (maker) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.proposals ADD FOREIGN KEY (decided_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.loans ADD FOREIGN KEY (user_id) REFERENCES read.users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.loans ADD FOREIGN KEY (product_id) REFERENCES read.loan_products (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.loans ADD FOREIGN KEY (approved_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.loans ADD FOREIGN KEY (rejected_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.loans ADD FOREIGN KEY (written_off_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.transactions ADD FOREIGN KEY (user_id) REFERENCES read.users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.transactions ADD FOREIGN KEY (loan_id) REFERENCES read.loans (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.transactions ADD FOREIGN KEY (reconciled_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.statements ADD FOREIGN KEY (created_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.settlements ADD FOREIGN KEY (statement_id) REFERENCES read.statements (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.settlements ADD FOREIGN KEY (created_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.support_agents ADD FOREIGN KEY (id) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.support_agents ADD FOREIGN KEY (department) REFERENCES read.departments (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.tickets ADD FOREIGN KEY (customer_id) REFERENCES read.users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.tickets ADD FOREIGN KEY (assigned_to) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.tickets ADD FOREIGN KEY (department) REFERENCES read.departments (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.tickets ADD FOREIGN KEY (escalated_to) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.tickets ADD FOREIGN KEY (resolved_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.system_alerts ADD FOREIGN KEY (acknowledged_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.broadcasts ADD FOREIGN KEY (created_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.broadcast_chunks ADD FOREIGN KEY (broadcast_id) REFERENCES read.broadcasts (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.notification_history ADD FOREIGN KEY (user_id) REFERENCES read.users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.notification_history ADD FOREIGN KEY (admin_id) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.notification_history ADD FOREIGN KEY (broadcast_id) REFERENCES read.broadcasts (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.notification_history ADD FOREIGN KEY (alert_id) REFERENCES read.system_alerts (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.system_config ADD FOREIGN KEY (updated_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.backups ADD FOREIGN KEY (parent_id) REFERENCES read.backups (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.audit_logs ADD FOREIGN KEY (user_id) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.journal_entries ADD FOREIGN KEY (loan_id) REFERENCES read.loans (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.journal_entries ADD FOREIGN KEY (transaction_id) REFERENCES read.transactions (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.journal_entries ADD FOREIGN KEY (user_id) REFERENCES read.users (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.journal_lines ADD FOREIGN KEY (entry_id) REFERENCES read.journal_entries (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.statement_lines ADD FOREIGN KEY (statement_id) REFERENCES read.statements (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.statement_lines ADD FOREIGN KEY (transaction_id) REFERENCES read.transactions (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.chat_messages ADD FOREIGN KEY (ticket_id) REFERENCES read.tickets (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.ticket_history ADD FOREIGN KEY (ticket_id) REFERENCES read.tickets (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE read.ticket_history ADD FOREIGN KEY (performed_by) REFERENCES read.admin_users (id) DEFERRABLE INITIALLY DEFERRED;
