-- The keys that everything else is wrapped, fingerprinted or signed with, themselves wrapped under
-- the master secret. Only the newest key of a purpose wraps; the older ones still open.

CREATE TABLE ledger.key_ring (
    purpose    text COLLATE "C" NOT NULL,
    id         int              NOT NULL CHECK (id > 0),
    wrapped    bytea            NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    PRIMARY KEY (purpose, id)
);
COMMENT ON COLUMN ledger.key_ring.settled_at IS
    'When all that older keys had wrapped was wrapped anew under this one.';

-- What was wrapped before there was a ring carries the number of its first keys.
UPDATE ledger.personal_keys SET wrapped = '\x00000001'::bytea || wrapped WHERE wrapped IS NOT NULL;
UPDATE ledger.secrets SET secret = '~1.' || secret WHERE purpose IN ('apiKey', 'apiSecret');
