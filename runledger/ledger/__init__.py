"""RunLedger and its operator: the objects that a program uses."""

from runledger.ledger.ledger import RunLedger
from runledger.ledger.operator import Operator

__all__ = ["Operator", "RunLedger"]
