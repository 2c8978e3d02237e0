-- Tokens of every kind are claimed alike, and challenges wait for the code of a second factor.

UPDATE ledger.claims SET kind = 'token' WHERE kind = 'session';

-- One is known by the hash of a token that was told, or by what it is for and whose it is. A code
-- that was sent is kept as a keyed hash. No command changes these, and no event is about them.
CREATE TABLE ledger.challenges (
    id         text COLLATE "C" PRIMARY KEY,
    admin_id   uuid        NOT NULL,
    epoch      bigint      NOT NULL,
    code       text,
    tries      int         NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL
);
CREATE INDEX challenges_expires_at ON ledger.challenges (expires_at);
