"""Measures the ledger beside other ways to write the same commands."""
