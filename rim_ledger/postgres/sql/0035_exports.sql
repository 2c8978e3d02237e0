-- Files of the log that somebody asked for: made in the background, kept for a day. No event is about
-- them, and no backup holds them. The file lies beside those of tickets, sealed under a key that goes
-- with its row.

CREATE TABLE ledger.exports (
    id           uuid PRIMARY KEY,
    owner        uuid        NOT NULL,
    slot         int         NOT NULL,
    persons      boolean     NOT NULL,
    entities     text[]      NOT NULL,
    secret       text        NOT NULL,
    upto         bigint      NOT NULL,
    position     bigint      NOT NULL,
    rows         bigint      NOT NULL DEFAULT 0,
    size         bigint,
    sha256       text,
    failure      text,
    created_at   timestamptz NOT NULL,
    alive_at     timestamptz NOT NULL,
    completed_at timestamptz,
    UNIQUE (owner, slot)
);
COMMENT ON COLUMN ledger.exports.entities IS 'Whose events may be in it, by the rights of who asked.';
COMMENT ON COLUMN ledger.exports.alive_at IS 'When who makes it last gave a sign of life.';

CREATE INDEX personal_keys_erased_at ON ledger.personal_keys (erased_at) WHERE erased_at IS NOT NULL;
