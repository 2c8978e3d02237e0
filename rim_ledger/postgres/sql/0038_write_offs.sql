-- The clock may write off what has defaulted: it looks once at each loan that did so far, and leaves
-- it, or plans when to look again.
INSERT INTO ledger.reminders (what, stream_id, at)
SELECT 'write-off', stream_id, now() FROM ledger.events WHERE name = 'LoanDefaulted' GROUP BY stream_id
ON CONFLICT DO NOTHING;
