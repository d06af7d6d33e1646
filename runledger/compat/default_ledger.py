"""The ledger of managers without their own: opened on first use, shared by the process."""

import asyncio
import os
import threading
from typing import Final

from runledger.ledger import RunLedger
from runledger.records import RunRecord

STORE: Final = "sqlite:///runs.db"
READ_MODELS: Final = "runs.duckdb"
"""The same default as on the command line."""

_Key = tuple[str, str, str, int]
_opened: Final[dict[_Key, RunLedger]] = {}
_turn: Final = threading.Lock()


async def default_ledger() -> RunLedger:
    """Return the open ledger of RUNLEDGER_STORE and RUNLEDGER_READ_MODELS.

    RUNLEDGER_UNKNOWN_AGENTS=reject refuses runs of agents that were not registered. The ledger
    serves event loops one after the other, because test suites use a loop for every test.
    """
    key = (
        os.environ.get("RUNLEDGER_STORE") or STORE,
        os.environ.get("RUNLEDGER_READ_MODELS") or READ_MODELS,
        os.environ.get("RUNLEDGER_UNKNOWN_AGENTS") or "register",
        os.getpid(),  # the threads of an open ledger do not survive a fork
    )
    found = _opened.get(key)
    return found if found is not None else await asyncio.to_thread(_open, key)


async def close_default_ledgers() -> None:
    """Close the default ledger; a manager that is used again opens it again."""
    while _opened:
        _, ledger = _opened.popitem()
        await ledger.__aexit__(None, None, None)


def runs_in_lettuce(run: RunRecord) -> bool:
    """Return whether the run's metadata says that an engine executes it, by the replaced server's
    key.

    Parameters:
        run: the run.
    """
    return bool(run.metadata.get("lettuce"))


def _open(key: _Key) -> RunLedger:
    with _turn:
        if key not in _opened:
            store, read_models, unknown_agents, _ = key
            ledger = RunLedger.open(
                store,
                read_models,
                unknown_agents="reject" if unknown_agents == "reject" else "register",
                runs_elsewhere=runs_in_lettuce,
            )
            # In a separate loop of this thread: an open ledger does not depend on a loop.
            asyncio.run(ledger.__aenter__())
            _opened[key] = ledger
        return _opened[key]
