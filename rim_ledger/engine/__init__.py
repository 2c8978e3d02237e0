"""Decides commands and commits their events: aggregates, units of work, batches, the store."""
