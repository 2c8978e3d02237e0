-- A challenge follows from no event, so it has a message authentication code of its own. Those that
-- wait now, for ten minutes at most, are asked for again.

DELETE FROM ledger.challenges;
ALTER TABLE ledger.challenges ADD COLUMN mac bytea NOT NULL;
COMMENT ON COLUMN ledger.challenges.mac IS
    'HMAC-SHA-256 over the other columns but tries (docs/decisions/0024-rows-beside-the-log.md).';
