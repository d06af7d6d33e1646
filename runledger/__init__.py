"""An event-sourced run ledger for AI agents."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.platform == "win32":
    raise ImportError("runledger: expected Linux or macOS, found Windows, whose file locks differ")

if TYPE_CHECKING:
    from runledger.errors import LedgerError
    from runledger.ledger import Operator, RunLedger
    from runledger.messages import Message
    from runledger.records import RunMetrics, RunRecord, RunUsage, StepView
    from runledger.run import Actor

__all__ = [
    "Actor",
    "LedgerError",
    "Message",
    "Operator",
    "RunLedger",
    "RunMetrics",
    "RunRecord",
    "RunUsage",
    "StepView",
]

_HOMES = {
    "Actor": "runledger.run",
    "LedgerError": "runledger.errors",
    "Message": "runledger.messages",
    "Operator": "runledger.ledger",
    "RunLedger": "runledger.ledger",
    "RunMetrics": "runledger.records",
    "RunRecord": "runledger.records",
    "RunUsage": "runledger.records",
    "StepView": "runledger.records",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: DuckDB and pydantic take longer to load than `runledger --help` may.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runledger' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value
