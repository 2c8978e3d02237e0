-- The newest state that a long stream was folded to, so that loading it need not begin with its first
-- event. No source of truth: a row that cannot be used is ignored, and made again from the events.

CREATE TABLE ledger.snapshots (
    stream_id   uuid             PRIMARY KEY,
    version     bigint           NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    state       bytea            NOT NULL,
    mac         bytea            NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE ledger.snapshots IS
    'A state of a stream at a version, folded by the code with this fingerprint; not in backups.';
COMMENT ON COLUMN ledger.snapshots.mac IS 'HMAC-SHA-256 over the other columns.';
