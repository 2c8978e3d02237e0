-- What admins did or tried, denials and looks at personal words among it: rows without an event,
-- written in the same transaction as what was decided. admin_id is null where nobody was known.

CREATE TABLE ledger.activity (
    id          uuid PRIMARY KEY,
    admin_id    uuid,
    admin_name  text        NOT NULL,
    action      text        NOT NULL,
    resource    text        NOT NULL,
    resource_id text,
    details     json        NOT NULL,
    ip_address  text,
    user_agent  text,
    request_id  text,
    timestamp   timestamptz NOT NULL
);
CREATE INDEX activity_timestamp ON ledger.activity (timestamp, id);
CREATE INDEX activity_admin_id ON ledger.activity (admin_id);
CREATE INDEX activity_resource ON ledger.activity (resource);

CREATE FUNCTION ledger.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done is never changed or removed (% on %.%)',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER activity_is_immutable BEFORE UPDATE OR DELETE ON ledger.activity
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting();
CREATE TRIGGER activity_is_kept BEFORE TRUNCATE ON ledger.activity
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewriting();

DO $$
BEGIN
    GRANT SELECT, INSERT ON ledger.activity TO rim_service;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'rim_service was granted nothing';
END $$;
