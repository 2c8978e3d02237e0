-- The ledger: one log of events in one order, and what is committed together with them.

CREATE SCHEMA ledger;

CREATE TABLE ledger.events (
    position    bigint      NOT NULL CHECK (position > 0),
    stream_id   uuid        NOT NULL,
    version     bigint      NOT NULL CHECK (version >= 0),
    name        text        NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body        text        NOT NULL,
    CONSTRAINT events_position PRIMARY KEY (position),
    CONSTRAINT events_version UNIQUE (stream_id, version)
);
COMMENT ON TABLE ledger.events IS
    'Every event, in commit order. Positions are dense; rows are never changed and never removed.';

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an event is never changed or removed (% on %.%)',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE ON ledger.events
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER events_are_kept BEFORE TRUNCATE ON ledger.events
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Names that only one stream may hold: phones and e-mails (as keyed hashes), business ids,
-- payment references.
CREATE TABLE ledger.claims (
    kind      text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    stream_id uuid             NOT NULL,
    PRIMARY KEY (kind, name)
);

-- The outcome of each command that came with an idempotency key.
CREATE TABLE ledger.outcomes (
    caller       text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    request_hash text        NOT NULL,
    outcome      text        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);

-- One wrapped key a person. Erasing a person empties the row; it stays, so that the key is never
-- made anew.
CREATE TABLE ledger.personal_keys (
    person    uuid PRIMARY KEY,
    wrapped   bytea,
    erased_at timestamptz,
    CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
);

-- What may never enter an event: hashes of passwords, secrets of second factors.
CREATE TABLE ledger.secrets (
    owner   uuid             NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    secret  text             NOT NULL,
    PRIMARY KEY (owner, purpose)
);

-- What the clock looks at again, and when: due dates, unknown top-ups.
CREATE TABLE ledger.reminders (
    what      text COLLATE "C" NOT NULL,
    stream_id uuid             NOT NULL,
    at        timestamptz      NOT NULL,
    PRIMARY KEY (what, stream_id)
);
CREATE INDEX reminders_at ON ledger.reminders (at);

-- Business ids are handed out in blocks; gaps are allowed, repetition is not.
CREATE TABLE ledger.numbers (
    prefix text   NOT NULL,
    year   int    NOT NULL,
    used   bigint NOT NULL,
    PRIMARY KEY (prefix, year)
);

CREATE VIEW ledger.event_log AS
    SELECT position, stream_id, version, name, recorded_at,
           body::json #>> '{stamp,at}'          AS occurred_at,
           body::json #>> '{stamp,actor,type}'  AS actor_type,
           body::json #>> '{stamp,actor,name}'  AS actor_name,
           body::json #>> '{stamp,requestId}'   AS request_id,
           body::json ->  'data'                AS data
      FROM ledger.events;
COMMENT ON VIEW ledger.event_log IS 'The log as an analyst reads it.';
