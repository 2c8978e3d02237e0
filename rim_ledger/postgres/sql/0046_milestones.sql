-- States of long streams at past versions, so that one as of a moment is folded from a few events. No
-- source of truth, as ledger.snapshots is none.

CREATE TABLE ledger.milestones (
    stream_id   uuid             NOT NULL,
    version     bigint           NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    state       bytea            NOT NULL,
    mac         bytea            NOT NULL,
    PRIMARY KEY (stream_id, version)
);
COMMENT ON TABLE ledger.milestones IS
    'States of a stream every hundred versions or so, folded by the code with this fingerprint.';
COMMENT ON COLUMN ledger.milestones.mac IS 'HMAC-SHA-256 over the other columns.';
