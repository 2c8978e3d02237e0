-- Which names an event took and gave back, by fingerprints, where its body begins with that: a row of
-- ledger.claims or ledger.outcomes that is gone is missed by it. Each entry goes straight to its place,
-- as a list of what waits for it would be read with every look.
CREATE INDEX events_claims ON ledger.events USING gin (string_to_array(split_part(body, '"', 4), ' '))
  WITH (fastupdate = off) WHERE starts_with(body, '{"claims":"');
