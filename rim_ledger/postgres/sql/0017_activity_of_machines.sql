-- What an API key did names the key beside its owner, so that a machine is told from a person.

ALTER TABLE ledger.activity
    ADD COLUMN api_key_id   uuid,
    ADD COLUMN api_key_name text;

CREATE INDEX activity_api_key_id ON ledger.activity (api_key_id) WHERE api_key_id IS NOT NULL;
