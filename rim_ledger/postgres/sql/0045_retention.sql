-- Outcomes are deleted after their retention, the oldest first (rim_ledger/retention.py). Those of a
-- group have one time, so an entry of the index takes some ten bytes. Emptied pages are found again
-- when a fiftieth of the table is empty.

CREATE INDEX outcomes_recorded_at ON ledger.outcomes (recorded_at);
ALTER TABLE ledger.outcomes SET (autovacuum_vacuum_scale_factor = 0.02);
