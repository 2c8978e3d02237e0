-- Numbers are taken by the commit of what bears them, one after the other. The column has another
-- name, so that no process of an earlier version takes any in blocks beside it.

ALTER TABLE ledger.numbers RENAME COLUMN used TO last;
COMMENT ON TABLE ledger.numbers IS
    'The last number that was taken of each prefix and year. It moves together with the log.';
