-- Loan requests that were refused: who asked, for whom, how much, why, and by which policy. A refusal
-- is no event, as nothing follows from it, and still evidence of how requests are decided. Written in
-- the same transaction as what was decided; position is the last one that the decision knew of.

CREATE TABLE ledger.refused_requests (
    id               uuid PRIMARY KEY,
    position         bigint         NOT NULL,
    user_id          uuid           NOT NULL,
    amount           numeric(20, 2) NOT NULL,
    network          text           NOT NULL,
    repayment_period int,
    interest_rate    numeric(10, 6),
    code             text           NOT NULL,
    reason           text           NOT NULL,
    policy           text,
    credit_score     bigint         NOT NULL,
    credit_limit     numeric(20, 2) NOT NULL,
    available        numeric(20, 2) NOT NULL,
    actor_type       text           NOT NULL,
    actor_id         uuid,
    actor_name       text           NOT NULL,
    api_key_id       uuid,
    api_key_name     text,
    request_id       text,
    occurred_at      timestamptz    NOT NULL,
    timestamp        timestamptz    NOT NULL
);
CREATE INDEX refused_requests_timestamp ON ledger.refused_requests (timestamp, id);
CREATE INDEX refused_requests_user_id ON ledger.refused_requests (user_id, position);
CREATE INDEX refused_requests_actor_id ON ledger.refused_requests (actor_id);
COMMENT ON COLUMN ledger.refused_requests.policy IS
    'The version of the policy that refused it; null where another rule did.';

CREATE TRIGGER refused_requests_are_immutable BEFORE UPDATE OR DELETE ON ledger.refused_requests
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting();
CREATE TRIGGER refused_requests_are_kept BEFORE TRUNCATE ON ledger.refused_requests
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewriting();
