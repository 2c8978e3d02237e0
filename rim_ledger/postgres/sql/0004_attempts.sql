-- Failed attempts to get in, of known and unknown names alike. No command changes these, and no
-- event is about them: they are counted, and after a day they are gone.

CREATE TABLE ledger.attempts (
    at      timestamptz      NOT NULL,
    account text COLLATE "C" NOT NULL,
    ip      text COLLATE "C" NOT NULL
);
CREATE INDEX attempts_account ON ledger.attempts (account, at);
CREATE INDEX attempts_ip ON ledger.attempts (ip, at);
CREATE INDEX attempts_at ON ledger.attempts (at);
COMMENT ON COLUMN ledger.attempts.account IS 'A keyed hash of the name that was tried.';
COMMENT ON COLUMN ledger.attempts.ip IS 'The address; of an IPv6 address, its network of 64 bits.';
