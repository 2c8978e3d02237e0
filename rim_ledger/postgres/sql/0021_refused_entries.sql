-- Log-ins that were refused to names that nobody has, or after too many attempts: counted by the
-- hour, and gone after thirty days. The log of activities is told once an hour of each kind.

CREATE TABLE ledger.refused_entries (
    hour    timestamptz      NOT NULL,
    action  text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    ip      text COLLATE "C" NOT NULL,
    count   bigint           NOT NULL DEFAULT 1,
    PRIMARY KEY (hour, action, outcome, ip)
);
COMMENT ON COLUMN ledger.refused_entries.ip IS
    'The address; of an IPv6 address, its network of 64 bits.';
