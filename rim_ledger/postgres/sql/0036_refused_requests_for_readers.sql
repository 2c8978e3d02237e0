-- A back-test looks at refused requests as well: what it needs of them may be read by rim_reader.

DO $$
BEGIN
    GRANT SELECT (id, user_id, position, timestamp, amount, policy)
       ON ledger.refused_requests TO rim_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'rim_reader was granted nothing';
END $$;
