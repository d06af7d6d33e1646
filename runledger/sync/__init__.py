"""The ledger for programs without an event loop, and for notebooks: calls wait for their answer."""

from runledger.sync.ledger import SyncLedger, SyncRunQuery

__all__ = ["SyncLedger", "SyncRunQuery"]
