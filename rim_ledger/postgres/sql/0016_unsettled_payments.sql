-- Payments that may still bring money, or hold some that must go back, stand on a list of their user,
-- which those of before are put on. The top-up of a loan is on none: it moves with its loan.

INSERT INTO ledger.claims (kind, name, stream_id)
SELECT 'payments-of-user.' || (recorded.body::json #>> '{data,userId}'),
       recorded.stream_id::text, recorded.stream_id
  FROM ledger.events recorded
 WHERE recorded.name = 'TransactionRecorded'
   AND (recorded.body::json #>> '{data,type}' = 'repayment'
        OR recorded.body::json #>> '{data,loanId}' IS NULL)
   AND NOT EXISTS (
       SELECT FROM ledger.events later
        WHERE later.stream_id = recorded.stream_id
          AND (later.name IN ('TransactionCompleted', 'TransactionReversed', 'TransactionRefunded')
               OR (later.name = 'TransactionFailed'
                   AND later.body::json #>> '{data,fundsCaptured}' IS DISTINCT FROM 'true')))
ON CONFLICT DO NOTHING;
