-- Challenges are answered by borrowers too: whoever is asked need not be an admin.

ALTER TABLE ledger.challenges RENAME COLUMN admin_id TO holder;
