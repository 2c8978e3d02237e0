-- What is known of the log of activities is dropped after its retention by whole spans from its
-- beginning, and by nobody but the owner of the tables, under a signed note. The leaf hashes stay.

CREATE TABLE ledger.activity_spans (
    first bigint PRIMARY KEY CHECK (first > 0),
    last  bigint NOT NULL CHECK (last >= first),
    note  text   NOT NULL
);
COMMENT ON TABLE ledger.activity_spans IS
    'Leaves of the tree of activities whose rows were dropped, and the signed note that says so.';
CREATE TRIGGER activity_spans_are_immutable BEFORE UPDATE OR DELETE ON ledger.activity_spans
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting();
CREATE TRIGGER activity_spans_are_kept BEFORE TRUNCATE ON ledger.activity_spans
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewriting();

CREATE FUNCTION ledger.refuse_rewriting_outside_spans() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('rim_ledger.drops_span', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'what was done is never changed or removed (% on %.%)',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION ledger.refuse_rewriting_outside_spans IS
    'The setting opens nothing to who lacks the right to delete: rim_service has none.';

DROP TRIGGER activity_is_immutable ON ledger.activity;
CREATE TRIGGER activity_is_immutable BEFORE UPDATE OR DELETE ON ledger.activity
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting_outside_spans();
DROP TRIGGER refused_requests_are_immutable ON ledger.refused_requests;
CREATE TRIGGER refused_requests_are_immutable BEFORE UPDATE OR DELETE ON ledger.refused_requests
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting_outside_spans();
DROP TRIGGER activity_places_are_immutable ON ledger.activity_places;
CREATE TRIGGER activity_places_are_immutable BEFORE UPDATE OR DELETE ON ledger.activity_places
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting_outside_spans();
