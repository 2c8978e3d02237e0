-- A message authentication code beside each event, by a key that the database never has. The codes
-- begin where this column came: events before that have none.

ALTER TABLE ledger.events ADD COLUMN mac bytea;
COMMENT ON COLUMN ledger.events.mac IS
    'HMAC-SHA-256 over the leaf of the event (docs/reference/verifiable-log.md).';
