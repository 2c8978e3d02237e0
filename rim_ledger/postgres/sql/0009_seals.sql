-- The seals: a Merkle tree over the log (RFC 9162), and its signed roots.

-- The tree's hashes, 256 side by side: tile n of level l holds those of the perfect subtrees of
-- 256^l events from n · 256 on. Only the last tile of a level still grows.
CREATE TABLE ledger.tiles (
    level  int    NOT NULL CHECK (level >= 0),
    number bigint NOT NULL CHECK (number >= 0),
    hashes bytea  NOT NULL CHECK (length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192),
    PRIMARY KEY (level, number)
);
ALTER TABLE ledger.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE ledger.checkpoints (
    size bigint      NOT NULL PRIMARY KEY CHECK (size > 0),
    note text        NOT NULL,
    at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ledger.checkpoints IS
    'Signed notes, each on the root of the first `size` events; never changed and never removed.';

CREATE TRIGGER checkpoints_are_immutable BEFORE UPDATE OR DELETE ON ledger.checkpoints
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER checkpoints_are_kept BEFORE TRUNCATE ON ledger.checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
