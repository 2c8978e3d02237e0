-- Each filter of the lists of activities and of refused requests is served in their order.

DROP INDEX ledger.activity_admin_id;
DROP INDEX ledger.activity_resource;
DROP INDEX ledger.activity_api_key_id;
CREATE INDEX activity_admin_id ON ledger.activity (admin_id, timestamp, id)
  WHERE admin_id IS NOT NULL;
CREATE INDEX activity_resource ON ledger.activity (resource, timestamp, id);
CREATE INDEX activity_action ON ledger.activity (action, timestamp, id);
CREATE INDEX activity_api_key_id ON ledger.activity (api_key_id, timestamp, id)
  WHERE api_key_id IS NOT NULL;

DROP INDEX ledger.refused_requests_actor_id;
CREATE INDEX refused_requests_actor_id ON ledger.refused_requests (actor_id, timestamp, id)
  WHERE actor_id IS NOT NULL;
CREATE INDEX refused_requests_network ON ledger.refused_requests (network, timestamp, id);
CREATE INDEX refused_requests_code ON ledger.refused_requests (code, timestamp, id);
CREATE INDEX refused_requests_api_key_id ON ledger.refused_requests (api_key_id, timestamp, id)
  WHERE api_key_id IS NOT NULL;
