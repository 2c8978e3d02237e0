-- A log has one origin after the other: a restore opens the next. What opens one is a checkpoint
-- too, and may be on as many events as the last of the origin before.

ALTER TABLE ledger.checkpoints
    ADD COLUMN opens boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT checkpoints_pkey,
    DROP CONSTRAINT checkpoints_size_check,
    ADD PRIMARY KEY (size, opens),
    ADD CHECK (size > 0 OR opens);
COMMENT ON COLUMN ledger.checkpoints.opens IS 'Whether it opens an origin; the first is on no events.';
