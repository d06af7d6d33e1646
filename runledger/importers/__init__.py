"""Imports of history: other tools' transcripts, and the ledger's own event format."""
