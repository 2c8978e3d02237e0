-- When the next message of each kind may go out: all processes together keep to the rate.

CREATE TABLE ledger.paces (
    channel text COLLATE "C" PRIMARY KEY,
    free_at timestamptz NOT NULL
);
