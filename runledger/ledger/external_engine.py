"""An engine that executes runs elsewhere: it may know of an end before it is reported here."""

from collections.abc import Callable
from typing import Protocol

from runledger.records import RunRecord

RunsElsewhere = Callable[[RunRecord], bool]
"""Returns whether the external engine is asked about a run."""


class ExternalEngine(Protocol):
    """A workflow engine that executes runs elsewhere."""

    async def status(self, run: RunRecord) -> str | None:
        """Return the run's status there, as a run status in lower or upper case, None if
        unknown."""


def no_run(_run: RunRecord) -> bool:
    """Return False: the run is executed here."""
    return False
