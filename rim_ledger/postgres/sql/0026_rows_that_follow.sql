-- What is stored beside the events is checked against them. An outcome follows from no event, so it
-- has a message authentication code of its own.

ALTER TABLE ledger.outcomes ADD COLUMN mac bytea;
COMMENT ON COLUMN ledger.outcomes.mac IS
    'HMAC-SHA-256 over the other columns but recorded_at (docs/decisions/0024-rows-beside-the-log.md).';

-- Who was erased is asked of the log whenever a personal key is read.
CREATE INDEX events_erased ON ledger.events (stream_id) WHERE name = 'UserErased';
