-- Whose words were shown, so that it can be told who saw a person; null in lines from before this
-- was kept.

ALTER TABLE ledger.activity ADD COLUMN persons uuid[];

CREATE INDEX activity_persons ON ledger.activity USING gin (persons);
