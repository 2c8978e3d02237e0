-- The log of activities and refused loan requests are sealed as events are: each row carries a code
-- by a key that the database never has, and is a leaf of a Merkle tree of their own. The sealer gives
-- each row its place in the tree, after the fact; rows from before this have no code.

ALTER TABLE ledger.activity
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN mac    bytea;
ALTER TABLE ledger.refused_requests
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN mac    bytea;

CREATE TABLE ledger.activity_places (
    place  bigint           PRIMARY KEY CHECK (place > 0),
    source text COLLATE "C" NOT NULL CHECK (source IN ('activity', 'refused_requests')),
    number bigint           NOT NULL,
    UNIQUE (source, number)
);
COMMENT ON TABLE ledger.activity_places IS
    'Which row of which table is which leaf of the tree of activities, from 1 on.';
CREATE TRIGGER activity_places_are_immutable BEFORE UPDATE OR DELETE ON ledger.activity_places
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting();
CREATE TRIGGER activity_places_are_kept BEFORE TRUNCATE ON ledger.activity_places
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewriting();

CREATE TABLE ledger.activity_tiles (LIKE ledger.tiles INCLUDING ALL);
COMMENT ON TABLE ledger.activity_tiles IS 'The hashes of the tree of activities, as in ledger.tiles.';

-- Checkpoints are numbered, so that one that is missing is missed.
ALTER TABLE ledger.checkpoints ADD COLUMN number bigint;
ALTER TABLE ledger.checkpoints DISABLE TRIGGER checkpoints_are_immutable;
UPDATE ledger.checkpoints c SET number = n.number
  FROM (SELECT size, opens, row_number() OVER (ORDER BY size, opens) AS number
          FROM ledger.checkpoints) n
 WHERE (c.size, c.opens) = (n.size, n.opens);
ALTER TABLE ledger.checkpoints ENABLE TRIGGER checkpoints_are_immutable;
ALTER TABLE ledger.checkpoints
    DROP CONSTRAINT checkpoints_pkey,
    ADD PRIMARY KEY (number);
CREATE INDEX checkpoints_size ON ledger.checkpoints (size, number);
