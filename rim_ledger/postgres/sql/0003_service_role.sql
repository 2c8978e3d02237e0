-- The role that commands are written under: it adds to the log and reads it, and nothing else.
-- Where the database's owner may not make roles, the service keeps its own role and the triggers
-- on ledger.events are what protects the log.

CREATE FUNCTION ledger.keep_writers_out() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    LOCK TABLE ledger.events IN EXCLUSIVE MODE;
END $$;
COMMENT ON FUNCTION ledger.keep_writers_out IS
    'Until the transaction ends. Locking asks for more than the right to insert.';

DO $$
BEGIN
    CREATE ROLE rim_service NOLOGIN;
    -- Since PostgreSQL 16, whoever makes a role may grant it, but not act as it before that.
    GRANT rim_service TO CURRENT_USER;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role rim_service cannot be made; the service keeps the owner''s role';
END $$;

DO $$
BEGIN
    GRANT USAGE ON SCHEMA ledger TO rim_service;
    GRANT SELECT, INSERT ON ledger.events, ledger.simulated_top_ups TO rim_service;
    GRANT SELECT, INSERT, UPDATE ON
        ledger.outcomes, ledger.personal_keys, ledger.secrets, ledger.numbers TO rim_service;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.claims, ledger.reminders TO rim_service;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'rim_service was granted nothing';
END $$;
