-- The simulated telco's own book: a row for each time that airtime would have been sent.

CREATE TABLE ledger.simulated_top_ups (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference text COLLATE "C" NOT NULL,
    network   text             NOT NULL,
    amount    numeric(14, 2)   NOT NULL,
    at        timestamptz      NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX simulated_top_ups_reference ON ledger.simulated_top_ups (reference);
