"""RunLedger and its operator: the objects that a user holds."""

from runledger.ledger.ledger import RunLedger
from runledger.ledger.operator import Operator

__all__ = ["Operator", "RunLedger"]
