-- How much somebody did on a day in Lagos, of what has a quota. It is committed together with the
-- events that it counts, and is of use on that day only.

CREATE TABLE ledger.counts (
    day   date             NOT NULL,
    who   uuid             NOT NULL,
    what  text COLLATE "C" NOT NULL,
    total bigint           NOT NULL,
    PRIMARY KEY (day, who, what)
);

DO $$
BEGIN
    GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.counts TO rim_service;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'rim_service was granted nothing';
END $$;
