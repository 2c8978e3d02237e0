-- Each provider has a rate of its own, so that one after another does not wait for the former.

ALTER TABLE ledger.paces RENAME COLUMN channel TO provider;
