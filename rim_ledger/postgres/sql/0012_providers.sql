-- How calls to providers went: what the circuit breaker counts, for all processes together. No
-- event is about a single call, and after a day it is forgotten.

CREATE TABLE ledger.calls (
    integration_id uuid        NOT NULL,
    at             timestamptz NOT NULL,
    failed         boolean     NOT NULL
);
CREATE INDEX calls_integration_id ON ledger.calls (integration_id, at);
CREATE INDEX calls_at ON ledger.calls (at);

-- Errors that nobody foresaw: when and where, and nothing of what was asked.
CREATE TABLE ledger.faults (
    at    timestamptz NOT NULL,
    place text        NOT NULL
);
CREATE INDEX faults_at ON ledger.faults (at);
