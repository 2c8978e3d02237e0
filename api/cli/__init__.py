"""The command `rim-ledger`: processes of the service and operators' commands."""
