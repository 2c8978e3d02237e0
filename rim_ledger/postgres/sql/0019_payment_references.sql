-- A reference stands for one payment however provider and reference are written, and so does a line
-- of a statement: their claims get the names of payments/payment.py and payments/reversal.py. Where
-- several claims come to one name, the newest stays; the others stand for the same receipt.

CREATE FUNCTION pg_temp.folded(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT btrim(regexp_replace(lower(normalize(name, NFKC)), '\s+', ' ', 'g'))
$$;

CREATE FUNCTION pg_temp.normal(kind text, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind
        WHEN 'statement-line' THEN pg_temp.folded(name)
        ELSE '[' || coalesce(to_json(coalesce(nullif(regexp_replace(
                pg_temp.folded(name::json ->> 0), '[^0-9a-z\u0080-\U0010ffff]+', '', 'g'), ''),
                pg_temp.folded(name::json ->> 0)))::text, 'null')
            || ',' || to_json(pg_temp.folded(name::json ->> 1))::text || ']'
    END
$$;

DELETE FROM ledger.claims c USING ledger.claims newer
WHERE c.kind IN ('payment-reference', 'statement-line') AND newer.kind = c.kind
    AND pg_temp.normal(newer.kind, newer.name) = pg_temp.normal(c.kind, c.name)
    AND (newer.stream_id, newer.name) > (c.stream_id, c.name);

UPDATE ledger.claims SET name = pg_temp.normal(kind, name)
WHERE kind IN ('payment-reference', 'statement-line') AND name <> pg_temp.normal(kind, name);
