-- Tokens of every kind are claimed alike, and challenges wait for the code of a second factor.

UPDATE ledger.claims SET kind = 'token' WHERE kind = 'session';

-- A challenge is known by its hash. It is used once, and its tries are counted before a code is
-- looked at, so that guesses made all at once are no more than guesses made one by one.
CREATE TABLE ledger.challenges (
    hash       text COLLATE "C" PRIMARY KEY,
    admin_id   uuid        NOT NULL,
    purpose    text        NOT NULL,
    code       text,
    tries      int         NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL
);
CREATE INDEX challenges_expires_at ON ledger.challenges (expires_at);

DO $$
BEGIN
    GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.challenges TO rim_service;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'rim_service was granted nothing';
END $$;
