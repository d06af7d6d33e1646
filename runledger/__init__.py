"""An event-sourced run ledger for AI agents."""

from runledger.errors import LedgerError
from runledger.ledger import RunLedger
from runledger.messages import Message
from runledger.records import RunMetrics, RunRecord, RunUsage, StepView
from runledger.run import Actor

__all__ = [
    "Actor",
    "LedgerError",
    "Message",
    "RunLedger",
    "RunMetrics",
    "RunRecord",
    "RunUsage",
    "StepView",
]
