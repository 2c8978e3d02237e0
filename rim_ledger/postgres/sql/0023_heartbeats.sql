-- Signs of life of the processes that nobody asks anything: the newest of each, by its name.

CREATE TABLE ledger.heartbeats (
    name text COLLATE "C" PRIMARY KEY,
    at   timestamptz NOT NULL
);
