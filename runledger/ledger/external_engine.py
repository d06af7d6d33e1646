"""An engine that executes runs elsewhere: it may know of an end before it is reported here."""

from collections.abc import Callable
from typing import Protocol

from runledger.records import RunRecord

RunsElsewhere = Callable[[RunRecord], bool]
"""Says of a run if the external engine is to be asked about it."""


class ExternalEngine(Protocol):
    """A workflow engine that executes runs elsewhere."""

    async def status(self, run: RunRecord) -> str | None:
        """Return how the run stands there, as a run status in any case, or None if unknown."""


def no_run(_run: RunRecord) -> bool:
    """Return that the run is executed here."""
    return False
