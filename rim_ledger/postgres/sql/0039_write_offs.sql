-- Loans that defaulted before there were write-offs: a reminder each, due at once. The decision sets
-- the next reminder, or none.
INSERT INTO ledger.reminders (what, stream_id, at)
SELECT DISTINCT 'write-off', stream_id, timestamptz 'epoch' FROM ledger.events
 WHERE name = 'LoanDefaulted'
ON CONFLICT DO NOTHING;
