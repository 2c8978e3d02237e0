"""The processes of the service, and what people do by hand: the command `rim-ledger`."""
