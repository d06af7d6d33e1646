"""The ledger of a server: the same methods as on a local one, over HTTP."""

from runledger.remote.ledger import RemoteLedger

__all__ = ["RemoteLedger"]
