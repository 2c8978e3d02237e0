-- The role of those who read the log and its seals: export, replay, backtest and verify need no other
-- rights. Personal words are sealed there, and no key or secret is to be had. A login is made a member
-- of it. Where the database's owner may not make roles, the database's administrator makes it.

DO $$
BEGIN
    CREATE ROLE rim_reader NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role rim_reader cannot be made; docs/how-to/export.md says how';
END $$;

DO $$
BEGIN
    GRANT USAGE ON SCHEMA ledger TO rim_reader;
    GRANT SELECT ON ledger.events, ledger.tiles, ledger.checkpoints TO rim_reader;
    GRANT SELECT (person, erased_at) ON ledger.personal_keys TO rim_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'rim_reader was granted nothing';
END $$;

-- Who may only read has no business with the lock of the writers.
DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION ledger.keep_writers_out TO rim_service;
    REVOKE EXECUTE ON FUNCTION ledger.keep_writers_out FROM PUBLIC;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'everybody who may use the schema may keep writers out';
END $$;
