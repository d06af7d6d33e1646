"""RunLedger: what a user holds."""

from runledger.ledger.ledger import RunLedger

__all__ = ["RunLedger"]
