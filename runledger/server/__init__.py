"""The HTTP server: a ledger as one address, for the client of the replaced system and ours."""
