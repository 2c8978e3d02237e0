-- The role of analysts: it reads the masked views of the read tables, and nothing else. A login is
-- made a member of it. Where the database's owner may not make roles, the database's administrator
-- makes it.

DO $$
BEGIN
    CREATE ROLE rim_analyst NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role rim_analyst cannot be made; docs/how-to/analyse.md says how';
END $$;
